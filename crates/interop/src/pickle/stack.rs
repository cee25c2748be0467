//! The [`Machine`]: its stack, marks, memo and values, and the basic operations on them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::allow;
use super::node::{Id, Limits, Node, Object};
use crate::error::{Error, Result};

/// The stack machine that interprets a pickle. It records constructor calls as data instead of executing them.
pub(super) struct Machine<'a> {
    pub(super) data: &'a [u8],
    pub(super) pos: usize,
    /// Byte offset of the current instruction, for error messages.
    pub(super) start: usize,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) stack: Vec<Id>,
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Id>,
    /// The names of all globals so far, so that equal names share their memory.
    pub(super) names: HashSet<Arc<str>>,
    pub(super) limits: Limits,
}

impl<'a> Machine<'a> {
    pub(super) fn new(data: &'a [u8], limits: Limits) -> Self {
        Self {
            data,
            pos: 0,
            start: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            names: HashSet::new(),
            limits,
        }
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Id> {
        if self.nodes.len() >= self.limits.values {
            return Err(Error::Limit {
                what: "number of values in the pickle",
                limit: self.limits.values as u64,
            });
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    pub(super) fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.add(node)?;
        self.push_id(id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<()> {
        if self.stack.len() >= self.limits.stack {
            return Err(Error::Limit {
                what: "depth of the pickle's stack",
                limit: self.limits.stack as u64,
            });
        }
        self.stack.push(id);
        Ok(())
    }

    /// The stack index of the `n`-th value from the top.
    ///
    /// # Errors
    /// `Pickle` when there are fewer than `n` values above the last mark.
    pub(super) fn floor(&self, n: usize) -> Result<usize> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(n)
            .filter(|&at| at >= bottom)
            .ok_or_else(|| self.bad("the stack is empty"))
    }

    pub(super) fn top(&self) -> Result<Id> {
        Ok(self.stack[self.floor(1)?])
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        let at = self.floor(1)?;
        let id = self.stack[at];
        self.stack.truncate(at);
        Ok(id)
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let at = self
            .marks
            .pop()
            .ok_or_else(|| self.bad("no mark on the stack"))?;
        Ok(self.stack.split_off(at))
    }

    pub(super) fn memoize(&mut self, index: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, index: u32) -> Result<()> {
        let id = *self
            .memo
            .get(&index)
            .ok_or_else(|| self.bad(format!("memo {index} was never set")))?;
        self.push_id(id)
    }

    // Building values.

    pub(super) fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>> {
        if !items.len().is_multiple_of(2) {
            return Err(self.bad("a key without a value"));
        }
        Ok(items.chunks_exact(2).map(|kv| (kv[0], kv[1])).collect())
    }

    pub(super) fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let pairs = self.pairs(items)?;
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::Dict(dict) => dict.extend(pairs),
            Node::Object(object) => object.pairs.extend(pairs),
            _ => return Err(self.bad("items for a value that is no mapping")),
        }
        Ok(())
    }

    pub(super) fn extend(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.nodes[target as usize] {
            Node::List(list) | Node::Set(list) => list.extend(items),
            Node::Object(object) => object.list.extend(items),
            _ => return Err(self.bad("elements for a value that is no list")),
        }
        Ok(())
    }

    pub(super) fn owned_text(&self, id: Id) -> Result<String> {
        match &self.nodes[id as usize] {
            Node::Str(text) => Ok(text.to_string()),
            Node::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => {
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
            _ => Err(self.bad("a global whose name is no text")),
        }
    }

    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<()> {
        // No known constructor has a longer name; the limit keeps a hostile file from filling the memory with names.
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

    pub(super) fn object(&mut self, class: Id, args: Id) -> Result<()> {
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

    pub(super) fn bad(&self, what: impl Into<String>) -> Error {
        Error::Pickle {
            offset: self.start,
            what: what.into(),
        }
    }
}
