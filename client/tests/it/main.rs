//! The command as a real process, against real planes.

mod cli;
