//! Executes the instructions of a pickle on the [`Machine`].

use std::borrow::Cow;

use super::node::{Id, Node};
use super::stack::Machine;
use super::text::{long, raw_unicode, shown, unescape};
use crate::error::{Error, Result};

impl<'a> Machine<'a> {
    pub(super) fn run(&mut self) -> Result<Id> {
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
                // NEWOBJ_EX: class, args, kwargs. No known format uses the keyword arguments.
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
}
