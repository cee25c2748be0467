//! Writes pickle streams.

use architecture::Attr;

/// Writes a pickle stream instruction by instruction. It does not use the memo: a value that is written twice is two
/// separate values when read.
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Begins a stream of pickle protocol 2 (as `torch.save` writes) or 4 (as NVIDIA's snapshots have).
    pub fn new(protocol: u8) -> Self {
        Self {
            out: vec![0x80, protocol],
        }
    }

    /// Ends the stream and returns its bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'.');
        self.out
    }

    /// Writes one instruction byte.
    pub fn op(&mut self, op: u8) {
        self.out.push(op);
    }

    /// Writes several instruction bytes.
    pub fn ops(&mut self, ops: &[u8]) {
        self.out.extend_from_slice(ops);
    }

    pub fn int(&mut self, v: i64) {
        if let Ok(v) = u8::try_from(v) {
            self.ops(&[b'K', v]);
        } else if let Ok(v) = i32::try_from(v) {
            self.op(b'J');
            self.ops(&v.to_le_bytes());
        } else {
            self.ops(&[0x8a, 8]);
            self.ops(&v.to_le_bytes());
        }
    }

    pub fn text(&mut self, text: &str) {
        self.op(b'X');
        self.ops(&(text.len() as u32).to_le_bytes());
        self.ops(text.as_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        match u32::try_from(bytes.len()) {
            Ok(n) => {
                self.op(b'B');
                self.ops(&n.to_le_bytes());
            }
            Err(_) => {
                self.op(0x8e);
                self.ops(&(bytes.len() as u64).to_le_bytes());
            }
        }
        self.ops(bytes);
    }

    pub fn global(&mut self, module: &str, name: &str) {
        self.op(b'c');
        self.ops(module.as_bytes());
        self.op(b'\n');
        self.ops(name.as_bytes());
        self.op(b'\n');
    }

    /// Writes an empty `collections.OrderedDict()`.
    pub fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.ops(b")R");
    }

    pub fn sizes(&mut self, sizes: &[usize]) {
        self.op(b'(');
        for &size in sizes {
            self.int(size as i64);
        }
        self.op(b't');
    }

    pub fn attr(&mut self, attr: &Attr) {
        match attr {
            Attr::None => self.op(b'N'),
            Attr::Bool(v) => self.op(if *v { 0x88 } else { 0x89 }),
            Attr::Int(v) => self.int(*v),
            Attr::Float(v) => {
                self.op(b'G');
                self.ops(&v.to_be_bytes());
            }
            Attr::Str(text) => self.text(text),
            Attr::Tuple(items) => {
                self.op(b'(');
                items.iter().for_each(|item| self.attr(item));
                self.op(b't');
            }
            Attr::List(items) => {
                self.ops(b"](");
                items.iter().for_each(|item| self.attr(item));
                self.op(b'e');
            }
            Attr::Dict(pairs) => {
                self.ops(b"}(");
                for (key, value) in pairs {
                    self.text(key);
                    self.attr(value);
                }
                self.op(b'u');
            }
        }
    }

    /// Writes `torch._utils._rebuild_tensor_v2(<storage>, 0, shape, strides, False, OrderedDict())`; `storage` writes
    /// the first argument.
    pub fn tensor(&mut self, shape: &[usize], storage: impl FnOnce(&mut Self)) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.op(b'(');
        storage(self);
        self.int(0);
        self.sizes(shape);
        self.sizes(&crate::tensor::contiguous_strides(shape));
        self.op(0x89);
        self.ordered_dict();
        self.ops(b"tR");
    }

    /// Writes a reference to an f32 storage by its persistent id `('storage', torch.FloatStorage, key, 'cpu', numel[,
    /// None])`. `legacy` adds the last element, `None`, which only legacy `torch.save` streams have.
    pub fn float_storage_id(&mut self, key: &str, numel: usize, legacy: bool) {
        self.op(b'(');
        self.text("storage");
        self.global("torch", "FloatStorage");
        self.text(key);
        self.text("cpu");
        self.int(numel as i64);
        if legacy {
            self.op(b'N');
        }
        self.ops(b"tQ");
    }
}

/// Converts JSON to the Python values that it stands for.
pub(crate) fn from_json(json: &serde_json::Value) -> Attr {
    use serde_json::Value as J;
    match json {
        J::Null => Attr::None,
        J::Bool(v) => Attr::Bool(*v),
        J::Number(n) => n
            .as_i64()
            .map_or_else(|| Attr::Float(n.as_f64().unwrap_or(f64::NAN)), Attr::Int),
        J::String(text) => Attr::Str(text.clone()),
        J::Array(items) => Attr::List(items.iter().map(from_json).collect()),
        J::Object(map) => Attr::Dict(map.iter().map(|(k, v)| (k.clone(), from_json(v))).collect()),
    }
}
