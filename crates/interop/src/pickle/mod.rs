//! Reads Python pickles without executing anything.
//!
//! [`Pickle::parse`] interprets protocols 0 to 5 into one vector of plain values, which are read through [`Value`]. A
//! reference to a Python global outside a short list of constructors ([`Constructor`]) is an error. A call of a listed
//! constructor becomes an [`Object`], which records the arguments of the call and the items and state set afterwards.
//!
//! Parsing does not recurse, every value takes at least one byte of input, and byte strings borrow from the input, so
//! time and memory are bounded by the size of the file. Since a value can be referenced many times, reading values has
//! a budget too ([`Pickle::check_budget`]).

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
