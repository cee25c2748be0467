//! Scalars of TensorBoard event files, without TensorFlow.
//!
//! A file is a row of records: length (u64), checksum of it, bytes, checksum of them. The bytes are a protobuf `Event`:
//! `wall_time` (1, double), `step` (2, varint), `summary` (5) of `value` (1) with `tag` (1) and `simple_value` (2).

use std::collections::BTreeMap;

/// A scalar: step, seconds, tag, value.
#[derive(Debug, PartialEq)]
pub struct Scalar {
    pub step: u64,
    pub wall_time: f64,
    pub tag: String,
    pub value: f32,
}

/// All scalars; stops at the first record that is cut off.
pub fn scalars(mut bytes: &[u8]) -> Vec<Scalar> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let Ok(len) = usize::try_from(u64::from_le_bytes(*head)) else {
            break;
        };
        let Some(record) = rest.get(4..).and_then(|r| r.get(..len)) else {
            break;
        };
        event(record, &mut all);
        let Some(next) = rest.get(4 + len + 4..) else {
            break;
        };
        bytes = next;
    }
    all
}

/// Scalars by step: means under their tags, and seconds.
pub fn by_step(scalars: &[Scalar]) -> BTreeMap<u64, (f64, BTreeMap<String, f64>)> {
    let mut steps = BTreeMap::new();
    for scalar in scalars {
        let entry: &mut (f64, BTreeMap<String, f64>) = steps
            .entry(scalar.step)
            .or_insert((scalar.wall_time, BTreeMap::new()));
        entry.1.insert(scalar.tag.clone(), f64::from(scalar.value));
    }
    steps
}

fn event(bytes: &[u8], all: &mut Vec<Scalar>) -> Option<()> {
    let (mut wall_time, mut step, mut summary) = (0.0, 0, None);
    for field in fields(bytes) {
        match field {
            (1, Wire::Fixed64(bits)) => wall_time = f64::from_bits(bits),
            (2, Wire::Varint(v)) => step = v,
            (5, Wire::Bytes(bytes)) => summary = Some(bytes),
            _ => {}
        }
    }
    for (number, value) in fields(summary?) {
        let (1, Wire::Bytes(value)) = (number, value) else {
            continue;
        };
        let (mut tag, mut number) = (None, None);
        for field in fields(value) {
            match field {
                (1, Wire::Bytes(text)) => tag = std::str::from_utf8(text).ok(),
                (2, Wire::Fixed32(bits)) => number = Some(f32::from_bits(bits)),
                _ => {}
            }
        }
        if let (Some(tag), Some(value)) = (tag, number) {
            all.push(Scalar {
                step,
                wall_time,
                tag: tag.to_owned(),
                value,
            });
        }
    }
    Some(())
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// Fields of a message until its end or the first that is damaged.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Wire<'_>)> {
    std::iter::from_fn(move || {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => {
                let (head, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                Wire::Fixed64(u64::from_le_bytes(*head))
            }
            2 => {
                let len = usize::try_from(varint(&mut bytes)?).ok()?;
                let (head, rest) = bytes.split_at_checked(len)?;
                bytes = rest;
                Wire::Bytes(head)
            }
            5 => {
                let (head, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Wire::Fixed32(u32::from_le_bytes(*head))
            }
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[(u8, u8, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, wire, bytes) in fields {
            out.push(number << 3 | wire);
            if *wire == 2 {
                out.push(bytes.len() as u8);
            }
            out.extend(bytes);
        }
        out
    }

    fn record(data: &[u8]) -> Vec<u8> {
        [
            &(data.len() as u64).to_le_bytes()[..],
            &[0; 4],
            data,
            &[0; 4],
        ]
        .concat()
    }

    #[test]
    fn scalars_are_found_and_a_cut_off_record_ends_the_file() {
        let value = message(&[
            (1, 2, b"Loss/D/loss".to_vec()),
            (2, 5, 1.5f32.to_le_bytes().to_vec()),
        ]);
        let summary = message(&[(1, 2, value)]);
        let event = message(&[
            (1, 1, 60.0f64.to_le_bytes().to_vec()),
            (2, 0, vec![0xac, 0x02]),
            (5, 2, summary),
        ]);
        let version = message(&[(3, 2, b"brain.Event:2".to_vec())]);
        let mut file = [record(&version), record(&event), record(&event)].concat();
        let all = scalars(&file);
        let want = Scalar {
            step: 300,
            wall_time: 60.0,
            tag: "Loss/D/loss".into(),
            value: 1.5,
        };
        assert_eq!((all.len(), &all[0]), (2, &want));
        file.truncate(file.len() - 9);
        assert_eq!(scalars(&file).len(), 1);
        assert_eq!(by_step(&all)[&300].1["Loss/D/loss"], 1.5);
        assert!(scalars(&[0xff; 40]).is_empty());
    }
}
