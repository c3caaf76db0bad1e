//! What must not be lost, and who must go on, when parts of the network fail.

mod control_planes;
mod edges;
mod large;
mod memory;
mod origins;
mod writers;
