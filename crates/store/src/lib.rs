//! The profile's database: reads for the mesh machine, applies its writes.
