//! A reader of Python pickles that executes nothing.
//!
//! Protocols 0 to 5 are interpreted into a flat arena of plain values. A global outside a short list of constructors is
//! an error; one inside it becomes an [`Object`] that remembers its arguments, items and state. There is no
//! recursion, every value costs at least one byte of input, and byte strings borrow from the input, so time and memory
//! are bounded by the size of the file. Reading values is limited by a budget
//! (`Pickle::check_budget`), because one value can be referenced many times.

mod allow;
mod machine;
mod node;
mod read;
mod stack;
mod stream;
mod text;
mod value;
pub(crate) mod write;

pub use allow::Constructor;
pub use node::{Limits, Object};
pub use stream::Pickle;
pub use value::Value;
