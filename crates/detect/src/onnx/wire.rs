//! A look at the bytes of an ONNX file before the runtime reads them.
//!
//! The runtime's reader loops for ever on a number of more than ten bytes and recurses as deeply as the file says.
//! This walk refuses such files, and any whose pieces reach beyond their bounds.

/// The messages of `onnx.proto` that hold other messages or packed numbers.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    SequenceType,
    Shape,
    /// Holds numbers and strings only.
    Plain,
    /// Not a message: numbers one after the other.
    Packed,
}

/// Graphs within graphs go this deep (messages, about five for each graph).
const MAX_DEPTH: usize = 40;
/// A piece reaches beyond the end.
const ENDS_EARLY: &str = "the file ends early";
/// A 64-bit number in groups of seven bits.
const MAX_VARINT: usize = 10;

impl Kind {
    /// What a field of this message holds, when it must be looked into.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) | (Self::Shape, 1) => Self::Plain,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7 | 11) => Self::Packed,
            (Self::Value, 2) | (Self::SequenceType, 1) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::Type, 4) => Self::SequenceType,
            (Self::TensorType, 2) => Self::Shape,
            _ => return None,
        })
    }
}

/// Checks a whole file; the error says what is wrong.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    check_message(bytes, Kind::Model, 0).map_err(|what| {
        // Models begin with their version, which is a small number.
        let is_model = matches!(bytes, [8, 1..=32, ..]);
        match is_model && what == ENDS_EARLY {
            true => format!(
                "is cut short: the file ends at byte {} in the middle of the model, fetch it again",
                bytes.len()
            ),
            false => format!("is not an ONNX model, or damaged: {what}"),
        }
    })
}

fn check_message(mut bytes: &[u8], kind: Kind, depth: usize) -> Result<(), &'static str> {
    if depth > MAX_DEPTH {
        return Err("graphs are nested too deeply");
    }
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        if matches!(kind, Kind::Packed) {
            continue;
        }
        let length = match tag & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)?).map_err(|_| "a length beyond the file")?,
            5 => 4,
            _ => return Err("a field of an unknown kind"),
        };
        let content = bytes.get(..length).ok_or(ENDS_EARLY)?;
        bytes = &bytes[length..];
        if let (2, Some(inner)) = (tag & 7, kind.field(tag >> 3)) {
            check_message(content, inner, depth + 1)?;
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, &'static str> {
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
        "a number of more than ten bytes"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_numbers_are_refused_wherever_they_are() {
        assert!(check(&[0xff; 64]).unwrap_err().contains("ten bytes"));
        // Model -> graph -> initializer -> packed dimensions.
        let wrap =
            |field: u8, content: &[u8]| [&[field << 3 | 2, content.len() as u8], content].concat();
        let nested = |dimensions: &[u8]| wrap(7, &wrap(5, &wrap(1, dimensions)));
        assert_eq!(check(&nested(&[3, 4, 5])), Ok(()));
        assert!(check(&nested(&[0xff; 12])).is_err());
        assert!(
            check(&nested(&[0xff; 3]))
                .unwrap_err()
                .contains("ends early")
        );
    }

    #[test]
    fn graphs_within_graphs_within_graphs_are_refused() {
        let mut content = Vec::new();
        for level in 0..60 {
            let field = [6, 5, 1][level % 3];
            let mut outer = vec![field << 3 | 2];
            let mut length = content.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(&content);
            content = outer;
        }
        let model = [
            &[
                7 << 3 | 2,
                0x80 | (content.len() & 0x7f) as u8,
                (content.len() >> 7) as u8,
            ][..],
            &content,
        ]
        .concat();
        assert!(check(&model).unwrap_err().contains("nested"));
    }

    #[test]
    fn pieces_beyond_the_end_are_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&[0x3a, 5, 0]).unwrap_err().contains("ends early"));
        assert!(check(&[0x0f]).unwrap_err().contains("unknown kind"));
        let cut = check(&[8, 7, 0x3a, 5, 0]).unwrap_err();
        assert!(cut.contains("cut short") && cut.contains("byte 5"), "{cut}");
    }
}
