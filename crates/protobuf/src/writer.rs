//! Builds messages.

/// A message under construction: each call appends a field.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// Appends a signed integer (`int32`, `int64`) as a varint; negative ones take ten bytes, as two's complement.
    pub fn int(self, field: u64, value: i64) -> Self {
        self.uint(field, value as u64)
    }

    /// Appends an unsigned integer (`uint32`, `uint64`, `bool`, enums) as a varint.
    pub fn uint(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    /// Appends a `float`, four bytes.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends a `double`, eight bytes.
    pub fn double(mut self, field: u64, value: f64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends a field of text, bytes or a nested message.
    pub fn bytes(self, field: u64, value: impl AsRef<[u8]>) -> Self {
        let mut message = self.head(field, value.as_ref().len());
        message.0.extend(value.as_ref());
        message
    }

    /// Appends only the key and the length of a field of bytes, which must be the last field. The caller must write the
    /// `length` bytes of its value after the encoded message.
    pub fn head(mut self, field: u64, length: usize) -> Self {
        self.varint(field << 3 | 2);
        self.varint(length as u64);
        self
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_format_description() {
        // protobuf.dev/programming-guides/encoding: field 1 = 150; field 2 = "testing"; field 3 = the
        // message with field 1.
        let first = Message::default().int(1, 150);
        assert_eq!(first.0, [0x08, 0x96, 0x01]);
        let second = Message::default().bytes(2, "testing").bytes(3, &first);
        let mut expected = vec![0x12, 0x07];
        expected.extend(b"testing");
        expected.extend([0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(second.0, expected);
        let third = Message::default().int(1, -2).float(20, 1.0).double(1, 1.0);
        assert_eq!(third.0[..4], [0x08, 0xfe, 0xff, 0xff]);
        assert_eq!(third.0[11..17], [0xa5, 0x01, 0, 0, 0x80, 0x3f]);
        assert_eq!(third.0[17..], [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
