//! Reads the fields of a message one after the other.
//!
//! A varint of more than ten bytes is an error, and so is a field that extends beyond the end of its message. Reading
//! allocates no memory.

use std::fmt;

/// Largest number of bytes of a varint: 64 bits in groups of seven.
const MAX_VARINT: usize = 10;

/// Value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0: an integer of variable length (varint). A negative integer is given as its 64-bit two's complement.
    Varint(u64),
    /// Wire type 5: four bytes, little-endian.
    Fixed32([u8; 4]),
    /// Wire type 1: eight bytes, little-endian.
    Fixed64([u8; 8]),
    /// Wire type 2: a string, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// Error in the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes end inside a field.
    EndsEarly,
    /// A length that does not fit into `usize`.
    Length,
    /// A varint of more than ten bytes.
    LongNumber,
    /// A wire type that does not exist, or a group.
    WireType,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndsEarly => "the file ends early",
            Self::Length => "a length beyond the file",
            Self::LongNumber => "a number of more than ten bytes",
            Self::WireType => "a field of an unknown kind",
        })
    }
}

impl std::error::Error for Error {}

/// Iterator over the fields of a message, as pairs of field number and value; it ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of the message in these bytes.
    pub fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(Error::EndsEarly)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Error::EndsEarly)?;
        self.0 = tail;
        Ok(*head)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Error> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(self.array()?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| Error::Length)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.array()?),
            _ => return Err(Error::WireType),
        };
        Ok((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Error>;

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

/// Reads a varint from the front of `bytes` and advances `bytes` past it. Used for packed numbers, which are several
/// varints in one [`Value::Bytes`].
///
/// # Errors
/// `EndsEarly` when the bytes end inside the number, `LongNumber` when it has more than ten bytes.
pub fn varint(bytes: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(MAX_VARINT).enumerate() {
        // Bits beyond the 64th are dropped, as other readers do.
        value |= u64::from(byte & 0x7f)
            .checked_shl(7 * index as u32)
            .unwrap_or(0);
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    Err(match bytes.len() < MAX_VARINT {
        true => Error::EndsEarly,
        false => Error::LongNumber,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Error> {
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
        assert_eq!(all(&[0xff; 64]), Err(Error::LongNumber));
        assert_eq!(all(&[0xff; 3]), Err(Error::EndsEarly));
        assert_eq!(all(&[0x3a, 5, 0]), Err(Error::EndsEarly));
        assert_eq!(all(&[0x0d, 5, 0]), Err(Error::EndsEarly));
        assert_eq!(all(&[0x0f]), Err(Error::WireType));
        let length = [&[0x0a][..], &[0xff; 9], &[1]].concat();
        assert!(all(&length).is_err());
        let mut fields = Fields::new(&[0x0f, 0x08, 1]);
        assert!(fields.next().is_some_and(|field| field.is_err()));
        assert_eq!(fields.next(), None);
    }
}
