//! Access to the values of a parsed pickle.

mod numpy;

use std::borrow::Cow;

use serde_json::{Map, Number, json};

use super::allow::Constructor;
use super::node::{Id, Node, Object};
use super::stream::Pickle;
use crate::error::{Error, Result, layout};

/// Largest number of arguments of a constructor call, and of elements that [`few`](Value::few) returns.
const FEW: usize = 64;

/// A reference to one value of a [`Pickle`]. Cheap to copy.
///
/// Accessors return `None` when the value has another type, and when reading has exceeded the budget of the pickle
/// ([`Pickle::check_budget`]).
#[derive(Clone, Copy)]
pub struct Value<'p, 'a> {
    pickle: &'p Pickle<'a>,
    id: Id,
}

impl<'p, 'a> Value<'p, 'a> {
    pub(crate) fn new(pickle: &'p Pickle<'a>, id: Id) -> Self {
        Self { pickle, id }
    }

    fn node(self) -> &'p Node<'a> {
        &self.pickle.nodes[self.id as usize]
    }

    fn at(self, id: Id) -> Self {
        Self {
            pickle: self.pickle,
            id,
        }
    }

    /// Whether this is Python's `None`.
    pub fn is_none(self) -> bool {
        matches!(self.node(), Node::None)
    }

    /// The value of an integer that fits 64 bits, of a bool (0 or 1), or of a numpy scalar that is a whole number.
    pub fn int(self) -> Option<i64> {
        match self.node() {
            Node::Int(v) => Some(*v),
            Node::Bool(v) => Some(i64::from(*v)),
            Node::Object(_) => self
                .numpy_scalar()
                .filter(|t| t.dtype.size() >= 1)
                .and_then(|t| {
                    let v = t.to_f64().first().copied()?;
                    (v.fract() == 0.0 && v.abs() < 9e15).then_some(v as i64)
                }),
            _ => None,
        }
    }

    /// The value of [`int`](Self::int) if it is not negative.
    pub fn size(self) -> Option<usize> {
        self.int().and_then(|v| usize::try_from(v).ok())
    }

    /// The text of a `str`, or of a byte string that is UTF-8.
    pub fn text(self) -> Option<&'p str> {
        match self.node() {
            Node::Object(o) if o.constructor == Constructor::Encode => {
                self.args()?.first()?.plain_text()
            }
            _ => self.plain_text(),
        }
    }

    /// The text of a `str` or byte string that is not the result of a constructor call. Calls are not followed here,
    /// because a file could nest them without limit; Python writes no nested ones.
    fn plain_text(self) -> Option<&'p str> {
        match self.node() {
            Node::Str(text) => {
                self.pickle.spend(text.len() / 16)?;
                Some(text)
            }
            Node::Bytes(bytes) => {
                self.pickle.spend(bytes.len() / 16)?;
                std::str::from_utf8(bytes).ok()
            }
            _ => None,
        }
    }

    /// Whether this is a text equal to `key`.
    fn is_text(self, key: &str) -> bool {
        match self.node() {
            Node::Str(text) => text == key,
            Node::Bytes(bytes) => **bytes == *key.as_bytes(),
            _ => self.text() == Some(key),
        }
    }

    /// The content of a byte string: `bytes`, `bytearray`, or text passed to `_codecs.encode(text, "latin1")`, as
    /// pickle protocols below 3 store bytes.
    pub fn bytes(self) -> Option<Cow<'p, [u8]>> {
        match self.node() {
            Node::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
            Node::Object(o) if o.constructor == Constructor::Encode => {
                // Protocols below 3 store bytes as a text with one latin-1 character for each byte.
                let Node::Str(text) = self.args()?.first()?.node() else {
                    return None;
                };
                self.pickle.spend(text.len() / 16)?;
                text.chars()
                    .map(|c| u8::try_from(u32::from(c)).ok())
                    .collect::<Option<Vec<u8>>>()
                    .map(Cow::Owned)
            }
            Node::Object(o) if o.constructor == Constructor::Bytes => {
                let args = self.args()?;
                match args.first() {
                    None => Some(Cow::Borrowed(&[])),
                    Some(first) if !matches!(first.node(), Node::Object(o) if o.constructor == Constructor::Bytes) => {
                        first.bytes()
                    }
                    Some(_) => None,
                }
            }
            _ => None,
        }
    }

    /// The elements of a tuple, list or set, or of a constructor call that builds one (for example `torch.Size`).
    pub fn elements(self) -> Option<Vec<Self>> {
        let ids = self.ids()?;
        self.pickle.spend(ids.len())?;
        Some(ids.iter().map(|&id| self.at(id)).collect())
    }

    fn ids(self) -> Option<&'p [Id]> {
        match self.node() {
            Node::Tuple(ids) | Node::List(ids) | Node::Set(ids) => Some(ids),
            Node::Object(o)
                if matches!(o.constructor, Constructor::Sequence | Constructor::JitBuild) =>
            {
                match self.args()?.first().map(|v| v.node()) {
                    Some(Node::Tuple(ids) | Node::List(ids) | Node::Set(ids)) => Some(ids),
                    _ => Some(&o.list),
                }
            }
            _ => None,
        }
    }

    /// The pairs of a dict or `OrderedDict`, in the order of the stream. A key can occur more than once; the last pair
    /// counts.
    pub fn entries(self) -> Option<Vec<(Self, Self)>> {
        let mut pairs = Vec::new();
        match self.node() {
            Node::Dict(dict) => {
                self.pickle.spend(dict.len())?;
                pairs.extend(dict);
            }
            Node::Object(o) if o.constructor == Constructor::Mapping => {
                // Python 2 writes OrderedDict([[key, value], ...]).
                for list in self.args()?.into_iter().filter_map(Self::ids) {
                    self.pickle.spend(pairs.len() + list.len())?;
                    for &pair in list {
                        let (Node::List(kv) | Node::Tuple(kv)) = self.at(pair).node() else {
                            return None;
                        };
                        let [key, value] = kv[..] else { return None };
                        pairs.push((key, value));
                    }
                }
                self.pickle.spend(pairs.len() + o.pairs.len())?;
                pairs.extend(&o.pairs);
            }
            _ => return None,
        }
        Some(
            pairs
                .into_iter()
                .map(|(k, v)| (self.at(k), self.at(v)))
                .collect(),
        )
    }

    /// The value of a dict or `OrderedDict` under a text key. If the key occurs more than once, the last value.
    pub fn get(self, key: &str) -> Option<Self> {
        let find = |pairs: &[(Id, Id)]| {
            self.pickle.spend(pairs.len())?;
            pairs
                .iter()
                .rev()
                .find(|(k, _)| self.at(*k).is_text(key))
                .map(|(_, v)| self.at(*v))
        };
        match self.node() {
            Node::Dict(pairs) => find(pairs),
            Node::Object(o) if o.constructor == Constructor::Mapping => {
                find(&o.pairs).or_else(|| {
                    self.entries()?
                        .into_iter()
                        .rev()
                        .find(|(k, _)| k.is_text(key))
                        .map(|(_, v)| v)
                })
            }
            _ => None,
        }
    }

    /// The recorded constructor call, if this value is the result of one.
    pub fn object(self) -> Option<&'p Object> {
        match self.node() {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The constructor whose call built this value, or the constructor itself if the value is a reference to one.
    pub fn constructor(self) -> Option<Constructor> {
        match self.node() {
            Node::Object(object) => Some(object.constructor),
            Node::Global { constructor, .. } => Some(*constructor),
            _ => None,
        }
    }

    /// The positional arguments of the constructor call; `None` when there are more than 64.
    pub fn args(self) -> Option<Vec<Self>> {
        match self.pickle.nodes.get(self.object()?.args as usize)? {
            Node::Tuple(ids) if ids.len() <= FEW => {
                Some(ids.iter().map(|&id| self.at(id)).collect())
            }
            _ => None,
        }
    }

    /// The elements of a short sequence (a shape, a persistent id, the fields of a state); `None` when there are more
    /// than 64.
    ///
    /// A file can refer to one long tuple a million times, and listing its elements each time would take too long.
    pub(crate) fn few(self) -> Option<Vec<Self>> {
        let ids = self.ids().filter(|ids| ids.len() <= FEW)?;
        Some(ids.iter().map(|&id| self.at(id)).collect())
    }

    /// The number of pairs of a dict, or of the items set on a constructed object; 0 for other values.
    pub(crate) fn count(self) -> usize {
        match self.node() {
            Node::Dict(pairs) => pairs.len(),
            Node::Object(object) => object.pairs.len(),
            _ => 0,
        }
    }

    /// The state that the stream sets on a constructed object: the argument of its `__setstate__`.
    pub fn state(self) -> Option<Self> {
        self.object()?.state.map(|id| self.at(id))
    }

    /// The persistent id, if this value is stored outside the stream and the stream only refers to it by this id.
    pub fn persistent(self) -> Option<Self> {
        match self.node() {
            Node::Persistent(id) => Some(self.at(*id)),
            _ => None,
        }
    }

    /// The type of the value in words, for messages; for a constructor or the result of a call, its Python name.
    pub fn kind(self) -> &'p str {
        match self.node() {
            Node::None => "None",
            Node::Bool(_) => "a bool",
            Node::Int(_) | Node::BigInt => "an integer",
            Node::Float(_) => "a float",
            Node::Str(_) => "a text",
            Node::Bytes(_) => "bytes",
            Node::Tuple(_) => "a tuple",
            Node::List(_) => "a list",
            Node::Set(_) => "a set",
            Node::Dict(_) => "a dict",
            Node::Global { name, .. } => name,
            Node::Object(object) => &object.name,
            Node::Persistent(_) => "a persistent id",
        }
    }

    /// Converts a value to JSON: numbers, strings, lists, mappings (whose keys become strings), numpy scalars.
    ///
    /// NaN, infinity and values that JSON does not have become strings in angle brackets, for example `<NaN>` or
    /// `<bytes>`.
    ///
    /// # Errors
    /// `Limit` when the value is nested deeper than 64 levels or has more than 100,000 values, where a value that is
    /// referenced several times counts each time. `Layout` for a numpy scalar of an unsupported type.
    pub fn to_json(self) -> Result<serde_json::Value> {
        let mut budget = 100_000;
        self.json_within(64, &mut budget)
    }

    fn json_within(self, depth: u64, budget: &mut u64) -> Result<serde_json::Value> {
        if depth == 0 {
            return Err(Error::Limit {
                what: "depth of a settings value",
                limit: 64,
            });
        }
        *budget = budget.checked_sub(1).ok_or(Error::Limit {
            what: "size of a settings value",
            limit: 100_000,
        })?;
        Ok(match self.node() {
            Node::None => serde_json::Value::Null,
            Node::Bool(v) => json!(v),
            Node::Int(v) => json!(v),
            Node::Float(v) => number(*v),
            Node::Str(text) => {
                charge(budget, text)?;
                json!(text)
            }
            Node::Global { name, .. } => json!(&**name),
            Node::Object(_) if self.constructor() == Some(Constructor::NumpyScalar) => {
                match self
                    .numpy_scalar()
                    .and_then(|t| t.to_f64().first().copied())
                {
                    Some(v) if v.fract() == 0.0 && v.abs() < 9e15 && !self.is_numpy_float() => {
                        json!(v as i64)
                    }
                    Some(v) => number(v),
                    None => return Err(layout!("a numpy scalar that cannot be read")),
                }
            }
            _ => {
                if let Some(entries) = self.entries() {
                    let mut map = Map::new();
                    for (key, value) in entries {
                        let name = match key.text() {
                            Some(text) => {
                                charge(budget, text)?;
                                text.to_owned()
                            }
                            None => match key.int() {
                                Some(v) => v.to_string(),
                                None => format!("<{}>", key.kind()),
                            },
                        };
                        map.insert(name, value.json_within(depth - 1, budget)?);
                    }
                    serde_json::Value::Object(map)
                } else if let Some(elements) = self.elements() {
                    elements
                        .into_iter()
                        .map(|v| v.json_within(depth - 1, budget))
                        .collect::<Result<_>>()?
                } else {
                    json!(format!("<{}>", self.kind()))
                }
            }
        })
    }

    /// The value of a mapping under a text key.
    ///
    /// # Errors
    /// `Layout` when there is none.
    pub(crate) fn need(self, key: &str) -> Result<Self> {
        self.get(key)
            .ok_or_else(|| layout!("no `{key}` in {}", self.kind()))
    }
}

/// Subtracts one unit for each 16 bytes of a text from the budget: a text is copied each time it is referenced.
fn charge(budget: &mut u64, text: &str) -> Result<()> {
    *budget = budget
        .checked_sub(text.len() as u64 / 16)
        .ok_or(Error::Limit {
            what: "size of a settings value",
            limit: 100_000,
        })?;
    Ok(())
}

fn number(v: f64) -> serde_json::Value {
    Number::from_f64(v).map_or_else(|| json!(format!("<{v}>")), serde_json::Value::Number)
}
