use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Value;
use super::allow::{self, Constructor};
use crate::error::{Error, Result};

/// Index of a value in the arena.
pub(crate) type Id = u32;

/// Bounds of one parse.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most values a stream may create. A 1024 px snapshot has about 100 thousand.
    pub values: usize,
    /// Deepest stack.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            values: 16 << 20,
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

/// What a constructor call left behind: the call as data.
#[derive(Debug)]
pub struct Object {
    pub(crate) constructor: Constructor,
    pub(crate) name: Arc<str>,
    pub(crate) args: Id,
    pub(crate) list: Vec<Id>,
    pub(crate) pairs: Vec<(Id, Id)>,
    pub(crate) state: Option<Id>,
}

/// A parsed stream.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    root: Id,
    end: usize,
}

impl<'a> Pickle<'a> {
    /// Parses one pickle from the start of `data`; whatever follows its STOP is left alone.
    ///
    /// # Errors
    /// `Truncated`, `Pickle`, `UnknownGlobal` or `Limit`.
    pub fn parse(data: &'a [u8], limits: Limits) -> Result<Self> {
        let mut machine = Machine {
            data,
            pos: 0,
            start: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            names: HashSet::new(),
            limits,
        };
        let root = machine.run()?;
        Ok(Self {
            nodes: machine.nodes,
            root,
            end: machine.pos,
        })
    }

    /// The value that the stream builds.
    pub fn root(&self) -> Value<'_, 'a> {
        Value::new(self, self.root)
    }

    /// Every value that was ever built, in order of appearance.
    pub(crate) fn values(&self) -> impl Iterator<Item = Value<'_, 'a>> {
        (0..self.nodes.len()).map(|id| Value::new(self, id as Id))
    }

    /// Bytes used, STOP included.
    pub fn end(&self) -> usize {
        self.end
    }
}

struct Machine<'a> {
    data: &'a [u8],
    pos: usize,
    /// Where the current instruction begins, for errors.
    start: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// One copy of each global's name.
    names: HashSet<Arc<str>>,
    limits: Limits,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Id> {
        loop {
            self.start = self.pos;
            let op = self.u8()?;
            if op == b'.' {
                let root = self.pop()?;
                return Ok(root);
            }
            self.step(op)?;
        }
    }

    fn step(&mut self, op: u8) -> Result<()> {
        match op {
            // Framing.
            0x80 => {
                let protocol = self.u8()?;
                if protocol > 5 {
                    return Err(self.bad(format!("protocol {protocol} is newer than 5")));
                }
            }
            0x95 => {
                let n = self.u64()?;
                if n > (self.data.len() - self.pos) as u64 {
                    return Err(Error::Truncated {
                        offset: self.data.len(),
                        what: "a pickle frame",
                    });
                }
            }

            // Constants and numbers.
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'J' => {
                let v = self.u32()? as i32;
                self.push(Node::Int(i64::from(v)))?;
            }
            b'K' => {
                let v = self.u8()?;
                self.push(Node::Int(i64::from(v)))?;
            }
            b'M' => {
                let v = self.take(2, "a number")?;
                self.push(Node::Int(i64::from(u16::from_le_bytes([v[0], v[1]]))))?;
            }
            b'I' => match self.line()? {
                "00" => self.push(Node::Bool(false))?,
                "01" => self.push(Node::Bool(true))?,
                text => {
                    let v = self.parse_int(text)?;
                    self.push(v)?;
                }
            },
            b'L' => {
                let text = self.line()?;
                let v = self.parse_int(text.strip_suffix('L').unwrap_or(text))?;
                self.push(v)?;
            }
            0x8a => {
                let n = self.u8()? as usize;
                let v = self.take(n, "a long integer")?;
                self.push(long(v))?;
            }
            0x8b => {
                let n = self.u32()? as usize;
                let v = self.take(n, "a long integer")?;
                self.push(long(v))?;
            }
            b'F' => {
                let text = self.line()?;
                let v = text
                    .trim()
                    .parse()
                    .map_err(|_| self.bad(format!("`{}` is no number", shown(text))))?;
                self.push(Node::Float(v))?;
            }
            b'G' => {
                let bytes = self.take(8, "a float")?;
                let mut be = [0; 8];
                be.copy_from_slice(bytes);
                self.push(Node::Float(f64::from_be_bytes(be)))?;
            }

            // Text and bytes.
            b'S' => {
                let text = self.line()?;
                let quoted = text.trim();
                let inner = ["'", "\""]
                    .iter()
                    .find_map(|q| quoted.strip_prefix(q)?.strip_suffix(q))
                    .ok_or_else(|| self.bad("a string without quotes"))?;
                let bytes = unescape(inner).ok_or_else(|| self.bad("a bad escape in a string"))?;
                self.push(Node::Bytes(Cow::Owned(bytes)))?;
            }
            b'V' => {
                let raw = self.raw_line()?;
                let text = raw_unicode(raw).ok_or_else(|| self.bad("bad unicode text"))?;
                self.push(Node::Str(Cow::Owned(text)))?;
            }
            b'T' | b'B' => {
                let n = self.u32()? as usize;
                self.bytes(n)?;
            }
            b'U' | b'C' => {
                let n = self.u8()? as usize;
                self.bytes(n)?;
            }
            0x8e | 0x96 => {
                let n = self.length()?;
                self.bytes(n)?;
            }
            0x8c => {
                let n = self.u8()? as usize;
                self.text(n)?;
            }
            b'X' => {
                let n = self.u32()? as usize;
                self.text(n)?;
            }
            0x8d => {
                let n = self.length()?;
                self.text(n)?;
            }

            // Containers.
            b'(' => {
                if self.marks.len() >= self.limits.stack {
                    return Err(Error::Limit {
                        what: "depth of the pickle",
                        limit: self.limits.stack as u64,
                    });
                }
                self.marks.push(self.stack.len());
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            0x8f => self.push(Node::Set(Vec::new()))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = self.pairs(&items)?;
                self.push(Node::Dict(pairs))?;
            }
            0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::Set(items))?;
            }
            0x85..=0x87 => {
                let n = usize::from(op - 0x84);
                let at = self.floor(n)?;
                let items = self.stack.split_off(at);
                self.push(Node::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let at = self.floor(2)?;
                let items = self.stack.split_off(at);
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }

            // Stack.
            b'0' => {
                // As in Python: POP on top of a mark takes the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }

            // Memo.
            b'p' => {
                let index = self.memo_index()?;
                self.memoize(index)?;
            }
            b'q' => {
                let index = u32::from(self.u8()?);
                self.memoize(index)?;
            }
            b'r' => {
                let index = self.u32()?;
                self.memoize(index)?;
            }
            0x94 => {
                let index = self.memo.len() as u32;
                self.memoize(index)?;
            }
            b'g' => {
                let index = self.memo_index()?;
                self.recall(index)?;
            }
            b'h' => {
                let index = u32::from(self.u8()?);
                self.recall(index)?;
            }
            b'j' => {
                let index = self.u32()?;
                self.recall(index)?;
            }

            // Globals and objects.
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.owned_text(module)?, self.owned_text(name)?);
                self.global(&module, &name)?;
            }
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.object(class, args)?;
            }
            0x92 => {
                // cls, args, kwargs: the kwargs become the state's part of no known format.
                let (_kwargs, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.object(class, args)?;
            }
            b'o' => {
                let items = self.pop_mark()?;
                let (class, args) = items
                    .split_first()
                    .ok_or_else(|| self.bad("an object without a class"))?;
                let class = *class;
                let args = self.add(Node::Tuple(args.to_vec()))?;
                self.object(class, args)?;
            }
            b'i' => {
                let module = self.line()?;
                let name = self.line()?;
                let items = self.pop_mark()?;
                let args = self.add(Node::Tuple(items))?;
                self.global(module, name)?;
                let class = self.pop()?;
                self.object(class, args)?;
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                match &mut self.nodes[target as usize] {
                    Node::Object(object) if object.state.is_none() => object.state = Some(state),
                    Node::Object(_) => return Err(self.bad("state is set twice on one object")),
                    _ => return Err(self.bad("state for a value that has none")),
                }
            }
            b'P' => {
                let id = self.line()?;
                let id = self.add(Node::Str(Cow::Borrowed(id)))?;
                self.push(Node::Persistent(id))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            0x82..=0x84 => {
                return Err(self.bad("it uses the extension registry of a Python program"));
            }
            0x97 | 0x98 => return Err(self.bad("it keeps its data out of band, in no file")),
            other => return Err(self.bad(format!("0x{other:02x} is no pickle instruction"))),
        }
        Ok(())
    }

    // Reading.

    fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8]> {
        match self
            .pos
            .checked_add(n)
            .and_then(|end| self.data.get(self.pos..end))
        {
            Some(bytes) => {
                self.pos += n;
                Ok(bytes)
            }
            None => Err(Error::Truncated {
                offset: self.data.len(),
                what,
            }),
        }
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1, "a pickle")?[0])
    }

    fn u32(&mut self) -> Result<u32> {
        let b = self.take(4, "a number")?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn u64(&mut self) -> Result<u64> {
        let mut le = [0; 8];
        le.copy_from_slice(self.take(8, "a number")?);
        Ok(u64::from_le_bytes(le))
    }

    fn length(&mut self) -> Result<usize> {
        let n = self.u64()?;
        usize::try_from(n).map_err(|_| Error::Truncated {
            offset: self.data.len(),
            what: "a byte string",
        })
    }

    fn raw_line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.data[self.pos..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or(Error::Truncated {
                offset: self.data.len(),
                what: "a line of text",
            })?;
        self.pos += end + 1;
        Ok(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }

    fn line(&mut self) -> Result<&'a str> {
        let raw = self.raw_line()?;
        std::str::from_utf8(raw).map_err(|_| self.bad("a line that is not UTF-8"))
    }

    fn bytes(&mut self, n: usize) -> Result<()> {
        let bytes = self.take(n, "a byte string")?;
        self.push(Node::Bytes(Cow::Borrowed(bytes)))
    }

    fn text(&mut self, n: usize) -> Result<()> {
        let bytes = self.take(n, "a text")?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.bad("a text that is not UTF-8"))?;
        self.push(Node::Str(Cow::Borrowed(text)))
    }

    fn parse_int(&self, text: &'a str) -> Result<Node<'a>> {
        let digits = text.trim();
        if let Ok(v) = digits.parse() {
            return Ok(Node::Int(v));
        }
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Node::BigInt);
        }
        Err(self.bad(format!("`{}` is no integer", shown(text))))
    }

    fn memo_index(&mut self) -> Result<u32> {
        let text = self.line()?;
        text.trim()
            .parse()
            .map_err(|_| self.bad(format!("`{}` is no memo index", shown(text))))
    }

    // Stack and memo.

    fn add(&mut self, node: Node<'a>) -> Result<Id> {
        if self.nodes.len() >= self.limits.values {
            return Err(Error::Limit {
                what: "number of values in the pickle",
                limit: self.limits.values as u64,
            });
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.add(node)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<()> {
        if self.stack.len() >= self.limits.stack {
            return Err(Error::Limit {
                what: "depth of the pickle's stack",
                limit: self.limits.stack as u64,
            });
        }
        self.stack.push(id);
        Ok(())
    }

    /// The index `n` below the top, which must not reach below the last mark.
    fn floor(&self, n: usize) -> Result<usize> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(n)
            .filter(|&at| at >= bottom)
            .ok_or_else(|| self.bad("the stack is empty"))
    }

    fn top(&self) -> Result<Id> {
        Ok(self.stack[self.floor(1)?])
    }

    fn pop(&mut self) -> Result<Id> {
        let at = self.floor(1)?;
        let id = self.stack[at];
        self.stack.truncate(at);
        Ok(id)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let at = self
            .marks
            .pop()
            .ok_or_else(|| self.bad("no mark on the stack"))?;
        Ok(self.stack.split_off(at))
    }

    fn memoize(&mut self, index: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<()> {
        let id = *self
            .memo
            .get(&index)
            .ok_or_else(|| self.bad(format!("memo {index} was never set")))?;
        self.push_id(id)
    }

    // Building.

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>> {
        if !items.len().is_multiple_of(2) {
            return Err(self.bad("a key without a value"));
        }
        Ok(items.chunks_exact(2).map(|kv| (kv[0], kv[1])).collect())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let pairs = self.pairs(items)?;
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Object(object) => object.pairs.extend(pairs),
            _ => return Err(self.bad("items for a value that is no mapping")),
        }
        Ok(())
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) | Node::Set(list) => list.extend(items),
            Node::Object(object) => object.list.extend(items),
            _ => return Err(self.bad("elements for a value that is no list")),
        }
        Ok(())
    }

    fn owned_text(&self, id: Id) -> Result<String> {
        match &self.nodes[id as usize] {
            Node::Str(text) => Ok(text.to_string()),
            Node::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => {
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => Err(self.bad("a global whose name is no text")),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        // Longer names than this are no identifiers, and keeping many copies of one would cost more than its bytes.
        const LONGEST: usize = 1024;
        if module.len() + name.len() > LONGEST {
            return Err(Error::Limit {
                what: "length of a global's name",
                limit: LONGEST as u64,
            });
        }
        match allow::constructor(module, name) {
            Some(constructor) => {
                let name: Arc<str> = format!("{module}.{name}").into();
                let name = match self.names.get(&name) {
                    Some(known) => known.clone(),
                    None => {
                        self.names.insert(name.clone());
                        name
                    }
                };
                self.push(Node::Global { constructor, name })
            }
            None => Err(Error::UnknownGlobal {
                name: format!("{module}.{name}"),
                hint: allow::hint(module),
            }),
        }
    }

    fn object(&mut self, class: Id, args: Id) -> Result<()> {
        let Node::Global { constructor, name } = &self.nodes[class as usize] else {
            return Err(self.bad("a call of something that is no global"));
        };
        let (constructor, name) = (*constructor, name.clone());
        if !matches!(self.nodes[args as usize], Node::Tuple(_)) {
            return Err(self.bad(format!("arguments of {name} that are no tuple")));
        }
        self.push(Node::Object(Box::new(Object {
            constructor,
            name,
            args,
            list: Vec::new(),
            pairs: Vec::new(),
            state: None,
        })))
    }

    fn bad(&self, what: impl Into<String>) -> Error {
        Error::Pickle {
            offset: self.start,
            what: what.into(),
        }
    }
}

/// A pickled long: little-endian two's complement.
fn long<'a>(bytes: &[u8]) -> Node<'a> {
    if bytes.len() > 8 {
        return Node::BigInt;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut le = [if negative { 0xff } else { 0 }; 8];
    le[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(le))
}

/// Python 2's `repr` of a byte string, without the quotes.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match bytes.next()? {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'x' => {
                let (hi, lo) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                out.push((hi * 16 + lo) as u8);
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// Python's `raw-unicode-escape`: latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode(raw: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let digits = match raw[i..] {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => {
                out.push(char::from(raw[i]));
                i += 1;
                continue;
            }
        };
        let code = raw
            .get(i + 2..i + 2 + digits)?
            .iter()
            .try_fold(0u32, |n, &b| Some((n << 4) | hex(b)?))?;
        out.push(char::from_u32(code)?);
        i += 2 + digits;
    }
    Some(out)
}

fn hex(b: u8) -> Option<u32> {
    char::from(b).to_digit(16)
}

/// The start of a text from the file, fit for an error message.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &[u8]) -> Result<Pickle<'_>> {
        Pickle::parse(
            data,
            Limits {
                values: 10_000,
                stack: 10_000,
            },
        )
    }

    #[test]
    fn every_protocol_gives_the_same_value() {
        // pickle.dumps({'a': (1, -2, 3.5), 'b': [True, None, 'é']}, protocol=p), p = 0..5
        let streams: [&[u8]; 6] = [
            b"(dp0\nVa\np1\n(I1\nI-2\nF3.5\ntp2\nsVb\np3\n(lp4\nI01\naNaV\xe9\np5\nas.",
            b"}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00tq\x02X\x01\x00\x00\x00bq\x03]q\x04(I01\nNX\x02\x00\x00\x00\xc3\xa9q\x05eu.",
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04(\x88NX\x02\x00\x00\x00\xc3\xa9q\x05eu.",
            b"\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04(\x88NX\x02\x00\x00\x00\xc3\xa9q\x05eu.",
            b"\x80\x04\x95)\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87\x94\x8c\x01b\x94]\x94(\x88N\x8c\x02\xc3\xa9\x94eu.",
            b"\x80\x05\x95)\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87\x94\x8c\x01b\x94]\x94(\x88N\x8c\x02\xc3\xa9\x94eu.",
        ];
        for data in streams {
            let pickle = parse(data).unwrap();
            assert_eq!(
                pickle.root().to_json().unwrap(),
                serde_json::json!({"a": [1, -2, 3.5], "b": [true, null, "é"]})
            );
            assert_eq!(pickle.end(), data.len());
        }
    }

    #[test]
    fn integers_of_every_length() {
        for (data, value) in [
            (&b"\x8a\x00."[..], 0),
            (b"\x8a\x01\xff.", -1),
            (b"\x8a\x02\xff\x00.", 255),
            (
                b"\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80.",
                i64::MIN,
            ),
            (b"L12345678901L\n.", 12_345_678_901),
        ] {
            assert_eq!(parse(data).unwrap().root().int(), Some(value));
        }
        // Larger than 64 bits: kept, but no number for us.
        assert_eq!(
            parse(b"\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09.")
                .unwrap()
                .root()
                .int(),
            None
        );
    }

    #[test]
    fn unknown_globals_are_named_and_not_run() {
        let err = parse(b"cos\nsystem\n(S'echo hello'\ntR.")
            .unwrap_err()
            .to_string();
        assert!(
            err.contains("`os.system`") && err.contains("do not open"),
            "{err}"
        );
        let err = parse(b"\x80\x04\x8c\x11torch.nn.modules.\x8c\x06Linear\x93.")
            .unwrap_err()
            .to_string();
        assert!(err.contains("state_dict"), "{err}");
    }

    #[test]
    fn hostile_streams_are_errors() {
        // Cut short, at every length.
        let whole = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94u.";
        for n in 0..whole.len() {
            assert!(parse(&whole[..n]).is_err(), "{n} bytes");
        }
        // Huge lengths with nothing behind them.
        assert!(matches!(
            parse(b"B\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(
            parse(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(
            parse(b"\x8b\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(
            parse(b"\x95\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        // Stack and memo misuse.
        for data in [
            &b"."[..],
            b"0.",
            b"(0a.",
            b"K\x01(.",
            b"t.",
            b"h\x05.",
            b"(K\x01d.",
            b"NNb.",
            b"NNR.",
            b"]K\x01s.",
            b"\xff",
        ] {
            assert!(parse(data).is_err(), "{data:?}");
        }
        // More values than allowed.
        assert!(matches!(parse(&[b'N'; 20_000]), Err(Error::Limit { .. })));
        assert!(matches!(parse(&[b'('; 20_000]), Err(Error::Limit { .. })));
    }

    #[test]
    fn deep_nesting_and_cycles_do_not_overflow_the_stack() {
        let mut deep = vec![b']'; 1_000_000];
        deep.extend(vec![b'a'; 999_999]);
        deep.push(b'.');
        let pickle = Pickle::parse(&deep, Limits::default()).unwrap();
        assert!(matches!(pickle.root().to_json(), Err(Error::Limit { .. })));
        drop(pickle);
        // A list that contains itself.
        let cycle = parse(b"]q\x00h\x00a.").unwrap();
        assert!(cycle.root().to_json().is_err());
        // A list of two references to a list of two references ...: 2^60 leaves when walked.
        let mut bomb = b"]q\x00".to_vec();
        for i in 0..60u8 {
            bomb.extend_from_slice(&[b']', b'q', i + 1, b'(', b'h', i, b'h', i, b'e']);
        }
        bomb.push(b'.');
        assert!(matches!(
            parse(&bomb).unwrap().root().to_json(),
            Err(Error::Limit { .. })
        ));
    }
}
