//! The store on real files, against an oracle and against prying eyes.

mod damage;
mod handing;
mod history;
mod life;
mod oracle;
mod random;
mod visible;
mod world;
mod writes;
