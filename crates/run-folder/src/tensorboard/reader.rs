//! Reads scalars from TensorBoard event files.

use protobuf::{Fields, Value};

use super::record::{HEAD, Record, checked_length, next_record, split_record};

/// The value of one scalar at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Number of the step. Its unit depends on the program that wrote it: images or thousands of images.
    pub step: u64,
    /// Time in seconds, since 1970 or since the start of the run, depending on the program.
    pub wall_time: f64,
    /// Name of the scalar, such as `Loss/G/loss`.
    pub tag: String,
    /// Value of the scalar.
    pub value: f64,
}

/// The scalars of an event file, and counts of its damaged records.
#[derive(Debug, Default, PartialEq)]
pub struct Events {
    /// The scalars in file order.
    pub scalars: Vec<Scalar>,
    /// Times of all complete records in seconds, also of those without scalars. The first is the creation time of the
    /// file.
    pub wall_times: Vec<f64>,
    /// Number of records with a wrong checksum, and of byte ranges that are not records. Their content is left out.
    pub n_damaged: usize,
    /// Number of complete records.
    pub n_whole: usize,
    /// Whether the last record is cut short: the writer was killed, or is still writing.
    pub is_cut: bool,
}

impl Events {
    /// Parses the content of an event file. After damage, parsing continues at the next record with correct checksums.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        // Damaged lengths could make the search compute checksums of the same bytes again at every position. The budget
        // limits the number of bytes with computed checksums to about 16 times the size of the file.
        let mut budget = 16 * bytes.len() + (64 << 20);
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match split_record(rest) {
                Record::Whole(content) => {
                    found.n_whole += 1;
                    found.add_event(content);
                    at += HEAD + content.len() + 4;
                    continue;
                }
                Record::Damaged(length) if starts_record(&rest[length..]) => {
                    found.n_damaged += 1;
                    at += length;
                    continue;
                }
                // Bytes were lost or inserted, so the length does not lead to the next record.
                _ => {}
            }
            if let Some(skipped) = next_record(rest, &mut budget) {
                found.n_damaged += 1;
                at += skipped;
                continue;
            }
            // Zero bytes are space that was allocated but not written when the machine stopped.
            found.is_cut = rest.len() < HEAD
                || rest.iter().all(|b| *b == 0)
                || matches!(split_record(rest), Record::Cut);
            found.n_damaged += usize::from(!found.is_cut);
            break;
        }
        found
    }

    /// A message about the records that are left out; `None` without damage.
    pub fn damage(&self) -> Option<String> {
        let all = self.n_whole + self.n_damaged;
        let damaged = (self.n_damaged > 0).then(|| {
            format!(
                "{} of {all} records are damaged (wrong checksum) and are left out",
                self.n_damaged
            )
        });
        let cut = self
            .is_cut
            .then(|| "its last record is cut short and is left out".to_owned());
        let parts: Vec<String> = damaged.into_iter().chain(cut).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Adds the scalars and the time of a protobuf `Event` message.
    fn add_event(&mut self, bytes: &[u8]) {
        let (mut wall_time, mut step, mut summary) = (0.0, 0, None);
        for field in fields(bytes) {
            match field {
                (1, Value::Fixed64(bytes)) => wall_time = f64::from_le_bytes(bytes),
                (2, Value::Varint(v)) => step = v,
                (5, Value::Bytes(bytes)) => summary = Some(bytes),
                _ => {}
            }
        }
        self.wall_times.push(wall_time);
        for (number, value) in summary.into_iter().flat_map(fields) {
            let (1, Value::Bytes(value)) = (number, value) else {
                continue;
            };
            let (mut tag, mut number) = (None, None);
            for field in fields(value) {
                match field {
                    (1, Value::Bytes(text)) => tag = std::str::from_utf8(text).ok(),
                    (2, Value::Fixed32(bytes)) => {
                        number = Some(f64::from(f32::from_le_bytes(bytes)))
                    }
                    (8, Value::Bytes(bytes)) => number = number.or_else(|| scalar_tensor(bytes)),
                    _ => {}
                }
            }
            if let (Some(tag), Some(value)) = (tag, number) {
                self.scalars.push(Scalar {
                    step,
                    wall_time,
                    tag: tag.to_owned(),
                    value,
                });
            }
        }
    }
}

/// Whether `bytes` begins with the header of a record, or is empty.
fn starts_record(bytes: &[u8]) -> bool {
    bytes.is_empty() || checked_length(bytes).is_some()
}

/// The value of a `TensorProto` message with one number. Fields by tag number: `dtype` (1; 1 means float, 2 double),
/// `tensor_content` (4), `float_val` (5), `double_val` (6).
fn scalar_tensor(bytes: &[u8]) -> Option<f64> {
    let mut dtype = 0;
    let mut content: Option<&[u8]> = None;
    for field in fields(bytes) {
        match field {
            (1, Value::Varint(kind)) => dtype = kind,
            (4..=6, Value::Bytes(values)) => content = Some(values),
            (5, Value::Fixed32(bytes)) => return Some(f64::from(f32::from_le_bytes(bytes))),
            (6, Value::Fixed64(bytes)) => return Some(f64::from_le_bytes(bytes)),
            _ => {}
        }
    }
    let content = content?;
    match dtype {
        1 => Some(f64::from(f32::from_le_bytes(content.try_into().ok()?))),
        2 => Some(f64::from_le_bytes(content.try_into().ok()?)),
        _ => None,
    }
}

/// The fields of a protobuf message, up to its end or the first damaged field.
fn fields(message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    Fields::new(message).map_while(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::super::record::{masked, record as record_of};
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

    fn event(value: Vec<u8>) -> Vec<u8> {
        let summary = message(&[(1, 2, value)]);
        record_of(&message(&[
            (1, 1, 60.0f64.to_le_bytes().to_vec()),
            (2, 0, vec![0xac, 0x02]),
            (5, 2, summary),
        ]))
    }

    fn loss() -> Vec<u8> {
        event(message(&[
            (1, 2, b"Loss/D/loss".to_vec()),
            (2, 5, 1.5f32.to_le_bytes().to_vec()),
        ]))
    }

    fn version() -> Vec<u8> {
        record_of(&message(&[(3, 2, b"brain.Event:2".to_vec())]))
    }

    #[test]
    fn scalars_are_found_and_a_cut_off_record_ends_the_file() {
        let mut file = [version(), loss(), loss()].concat();
        let all = Events::parse(&file);
        let want = Scalar {
            step: 300,
            wall_time: 60.0,
            tag: "Loss/D/loss".into(),
            value: 1.5,
        };
        assert_eq!((all.scalars.len(), &all.scalars[0]), (2, &want));
        assert_eq!((all.wall_times.len(), all.damage()), (3, None));
        for n in 1..loss().len() {
            file.truncate(version().len() + 2 * loss().len() - n);
            let cut = Events::parse(&file);
            assert_eq!((cut.scalars.len(), cut.is_cut, cut.n_damaged), (1, true, 0));
        }
        assert!(cut_text(&file).contains("cut short"));
        file.resize(file.len() + 4096, 0);
        let reserved = Events::parse(&[version(), loss(), vec![0; 4096]].concat());
        assert_eq!((reserved.scalars.len(), reserved.n_damaged), (1, 0));
        let garbage = Events::parse(&[0xff; 40]);
        assert_eq!((garbage.scalars.len(), garbage.n_damaged), (0, 1));
        assert_eq!(Events::parse(b"").damage(), None);
    }

    #[test]
    fn lengths_that_lie_are_searched_within_bounds() {
        // Every 12 bytes are the valid header of a record half as long as the file.
        let length = (2u64 << 20).to_le_bytes();
        let head = [&length[..], &masked(&length).to_le_bytes()].concat();
        let file = [vec![0xff; 5], head.repeat(350_000), loss()].concat();
        let start = std::time::Instant::now();
        let events = Events::parse(&file);
        assert_eq!(events.n_damaged, 1);
        // Without a budget the search would read 350 GB.
        assert!(start.elapsed() < std::time::Duration::from_secs(10));
    }

    fn cut_text(file: &[u8]) -> String {
        Events::parse(file).damage().unwrap_or_default()
    }

    #[test]
    fn every_flipped_bit_costs_its_record_alone_and_is_counted() {
        let file = [version(), loss(), loss(), loss()].concat();
        let (from, to) = (version().len(), version().len() + loss().len());
        for at in from..to {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            let read = Events::parse(&damaged);
            assert_eq!((read.scalars.len(), read.n_damaged), (2, 1), "byte {at}");
            let text = read.damage().unwrap();
            assert!(text.starts_with("1 of 4 records"), "{text}");
            // A missing byte, and an additional one.
            damaged.remove(at);
            let read = Events::parse(&damaged);
            assert_eq!((read.scalars.len(), read.n_damaged), (2, 1), "byte {at}");
            damaged.splice(at..at, [1, 2]);
            let read = Events::parse(&damaged);
            assert_eq!((read.scalars.len(), read.n_damaged), (2, 1), "byte {at}");
        }
    }

    #[test]
    fn tensors_of_tensorflow_2_are_scalars_too() {
        let tag = || (1, 2, b"loss".to_vec());
        for tensor in [
            message(&[(1, 0, vec![1]), (4, 2, 2.5f32.to_le_bytes().to_vec())]),
            message(&[(1, 0, vec![1]), (5, 5, 2.5f32.to_le_bytes().to_vec())]),
            message(&[(1, 0, vec![1]), (5, 2, 2.5f32.to_le_bytes().to_vec())]),
            message(&[(1, 0, vec![2]), (4, 2, 2.5f64.to_le_bytes().to_vec())]),
            message(&[(1, 0, vec![2]), (6, 1, 2.5f64.to_le_bytes().to_vec())]),
        ] {
            let read = Events::parse(&event(message(&[tag(), (8, 2, tensor)])));
            assert_eq!(read.scalars[0].value, 2.5);
        }
        // Texts and images are skipped.
        let text = message(&[(1, 0, vec![7]), (8, 2, b"words".to_vec())]);
        let read = Events::parse(&event(message(&[tag(), (8, 2, text)])));
        assert_eq!((read.scalars.len(), read.n_whole), (0, 1));
    }

    #[test]
    fn damaged_files_give_whole_scalars_alone() {
        let file: Vec<u8> = [version(), loss(), loss(), loss()].concat();
        let whole = Events::parse(&file);
        assert_eq!((whole.scalars.len(), whole.n_damaged), (3, 0));
        let tokens: [&[u8]; 3] = [b"\0\0\0\0\0\0\0\0", b"\x0a", b"\xff\xff\xff\xff"];
        test_support::fuzz::fuzz(
            "tfevents",
            &[file],
            &tokens,
            |_| usize::MAX,
            |bytes| {
                let events = Events::parse(bytes);
                for scalar in &events.scalars {
                    assert!(whole.scalars.contains(scalar), "{scalar:?}");
                }
                events.n_damaged == 0 && !events.is_cut
            },
        );
    }
}
