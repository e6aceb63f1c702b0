//! settings.toml with hints for what is misspelt.
