//! The arena of values that a pickle builds.

use std::borrow::Cow;
use std::sync::Arc;

use super::allow::Constructor;

/// Index of a value in the arena.
pub(crate) type Id = u32;

/// Bounds of one parse.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most values of a stream. A 1024 px snapshot has about 100 thousand.
    pub values: usize,
    /// The largest stack.
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

/// A value, with its children as indices.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits; nothing here needs its value.
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

/// A constructor call as data.
#[derive(Debug)]
pub struct Object {
    pub(crate) constructor: Constructor,
    pub(crate) name: Arc<str>,
    pub(crate) args: Id,
    pub(crate) list: Vec<Id>,
    pub(crate) pairs: Vec<(Id, Id)>,
    pub(crate) state: Option<Id>,
}
