//! The fields of a protobuf message, one after the other.
//!
//! Numbers have at most ten bytes and no piece reaches beyond the message that holds it; nothing is allocated.

use std::borrow::Cow;

/// A 64-bit number in groups of seven bits.
const MAX_VARINT: usize = 10;
const ENDS_EARLY: &str = "is not an ONNX model, or damaged: the file ends early";

/// Content of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    /// A string, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// Iterator over field numbers and contents; it ends after the first error.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.0 = tail;
        Ok(head)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), &'static str> {
        let tag = varint(&mut self.0)?;
        let array = "the slice has the length that was asked for";
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(self.take(8)?.try_into().expect(array)),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?)
                    .map_err(|_| "is not an ONNX model, or damaged: a length beyond the file")?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.take(4)?.try_into().expect(array)),
            _ => return Err("is not an ONNX model, or damaged: a field of an unknown kind"),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Takes a number off the front.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        value |= u64::from(byte & 0x7f)
            .checked_shl(7 * index as u32)
            .unwrap_or(0);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < MAX_VARINT {
        ENDS_EARLY
    } else {
        "is not an ONNX model, or damaged: a number of more than ten bytes"
    })
}

/// Bytes of a name or text.
const MAX_TEXT: usize = 4096;

/// A name or text of the file.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, &'static str> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn fields_of_every_wire_type_are_read() {
        let bytes = [
            &[0x08, 0xac, 0x02][..],
            &[0x12, 2, b'a', b'b'],
            &[0x1d, 1, 2, 3, 4],
            &[0x21, 1, 2, 3, 4, 5, 6, 7, 8],
        ]
        .concat();
        let expected = vec![
            (1, Value::Varint(300)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Fixed32([1, 2, 3, 4])),
            (4, Value::Fixed64([1, 2, 3, 4, 5, 6, 7, 8])),
        ];
        assert_eq!(all(&bytes), Ok(expected));
        assert_eq!(all(&[]), Ok(Vec::new()));
    }

    #[test]
    fn damaged_fields_end_the_message() {
        assert!(all(&[0xff; 64]).unwrap_err().contains("ten bytes"));
        assert!(all(&[0xff; 3]).unwrap_err().contains("ends early"));
        assert!(all(&[0x3a, 5, 0]).unwrap_err().contains("ends early"));
        assert!(all(&[0x0f]).unwrap_err().contains("unknown kind"));
        let length = [&[0x0a][..], &[0xff; 9], &[1]].concat();
        assert!(all(&length).is_err());
        let mut fields = Fields::new(&[0x0f, 0x08, 1]);
        assert!(fields.next().is_some_and(|field| field.is_err()));
        assert_eq!(fields.next(), None);
    }
}
