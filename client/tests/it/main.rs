//! The command as a real process, against real planes; and whole networks of real processes.

mod cli;
mod deploy;
mod dev;
mod documents;
mod explain;
mod faults;
mod network;
mod shield;
mod steps;
