//! The values of a pickle: nodes in one vector, which refer to each other by index.

use std::borrow::Cow;
use std::sync::Arc;

use super::allow::Constructor;

/// Index of a value in the nodes of its pickle.
pub(crate) type Id = u32;

/// Limits for parsing one pickle, against damaged and hostile files.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest number of values in the stream. A StyleGAN2-ADA snapshot at 1024 px has about 100,000.
    pub values: usize,
    /// Largest number of values, and of marks, on the stack.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            values: 4 << 20,
            stack: 4 << 20,
        }
    }
}

/// A value of a pickle; its children are given by index.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, whose value is not kept.
    BigInt,
    Float(f64),
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global {
        constructor: Constructor,
        name: Arc<str>,
    },
    Object(Box<Object>),
    Persistent(Id),
}

/// A constructor call that was recorded instead of executed: the constructor, its arguments, and the list items,
/// mapping items and state that the stream sets on the result afterwards. Read it with the methods of
/// [`Value`](super::Value).
#[derive(Debug)]
pub struct Object {
    pub(crate) constructor: Constructor,
    pub(crate) name: Arc<str>,
    pub(crate) args: Id,
    pub(crate) list: Vec<Id>,
    pub(crate) pairs: Vec<(Id, Id)>,
    pub(crate) state: Option<Id>,
}
