//! Messages under construction.

/// A message under construction: each call appends a field.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    /// A whole number; negative ones take ten bytes, as two's complement.
    pub fn int(&mut self, field: u32, value: i64) -> &mut Self {
        self.uint(field, value as u64)
    }

    /// A whole number without a sign.
    pub fn uint(&mut self, field: u32, value: u64) -> &mut Self {
        self.key(field, 0);
        self.varint(value);
        self
    }

    /// A number in four bytes.
    pub fn float(&mut self, field: u32, value: f32) -> &mut Self {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A number in eight bytes.
    pub fn double(&mut self, field: u32, value: f64) -> &mut Self {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Text.
    pub fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// A message inside.
    pub fn message(&mut self, field: u32, value: &Message) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// The finished bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire_type: u32) {
        self.varint(u64::from(field << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_format_description() {
        // protobuf.dev/programming-guides/encoding: field 1 = 150; field 2 = "testing"; field 3 = the first.
        let mut first = Message::default();
        first.int(1, 150);
        assert_eq!(first.0, [0x08, 0x96, 0x01]);
        let mut second = Message::default();
        second.text(2, "testing").message(3, &first);
        let mut expected = vec![0x12, 0x07];
        expected.extend(b"testing");
        expected.extend([0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(second.0, expected);
        let mut third = Message::default();
        third.int(1, -2).float(20, 1.0).double(1, 1.0);
        assert_eq!(third.0[..4], [0x08, 0xfe, 0xff, 0xff]);
        assert_eq!(third.0[11..17], [0xa5, 0x01, 0, 0, 0x80, 0x3f]);
        assert_eq!(third.0[17..], [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }
}
