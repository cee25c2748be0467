//! Reads protobuf messages, with error messages for ONNX files.

use std::borrow::Cow;

pub(super) use protobuf::Value;

/// Iterator over the fields of a message, as field numbers and values; it ends after the first error.
pub(super) struct Fields<'a>(protobuf::Fields<'a>);

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self(protobuf::Fields::new(message))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|field| field.map_err(words))
    }
}

/// Reads a varint from the front of `bytes` and removes it.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    protobuf::varint(bytes).map_err(words)
}

/// Largest number of bytes of a name or text.
const MAX_TEXT: usize = 4096;

/// Decodes a name or text of the file.
///
/// # Errors
/// A message when it is longer than [`MAX_TEXT`] or not UTF-8.
pub(super) fn text(content: &[u8]) -> Result<String, String> {
    if content.len() > MAX_TEXT {
        return Err(format!("has a name or text of {} bytes", content.len()));
    }
    match String::from_utf8_lossy(content) {
        Cow::Borrowed(text) => Ok(text.to_owned()),
        Cow::Owned(text) => Err(format!("has a name that is no UTF-8: {text:?}")),
    }
}

fn words(error: protobuf::Error) -> &'static str {
    use protobuf::Error;
    match error {
        Error::EndsEarly => "is not an ONNX model, or damaged: the file ends early",
        Error::Length => "is not an ONNX model, or damaged: a length beyond the file",
        Error::LongNumber => "is not an ONNX model, or damaged: a number of more than ten bytes",
        Error::WireType => "is not an ONNX model, or damaged: a field of an unknown kind",
    }
}
