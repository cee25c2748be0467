//! The files that `torch.save` wrote before PyTorch 1.6.

use std::collections::HashMap;

use crate::error::{Error, Result, layout};
use crate::pickle::{Constructor, Limits, Pickle, Value};
use crate::tensor::DType;

/// The bytes that follow the two bytes of the PROTO instruction at the start of a legacy `torch.save` stream: a pickled
/// integer of ten bytes (LONG1), and STOP.
pub(super) const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
pub(super) const PROTOCOL_VERSION: i64 = 1001;

/// A stream written by `torch.save` before torch 1.6: five pickles (magic number, version, system information, object,
/// storage keys), then the storages one after another.
#[derive(Debug)]
pub(crate) struct LegacyFile<'a> {
    /// The saved object.
    pub pickle: Pickle<'a>,
    /// Raw little-endian bytes of each storage by its key.
    pub storages: HashMap<String, &'a [u8]>,
}

/// Whether `data` begins with the magic number of a legacy stream.
pub(crate) fn is_legacy(data: &[u8]) -> bool {
    data.get(2..)
        .is_some_and(|rest| data[0] == 0x80 && rest.starts_with(MAGIC))
}

impl<'a> LegacyFile<'a> {
    /// Parses a whole stream.
    ///
    /// # Errors
    /// The errors of [`Pickle::parse`]; `Truncated` when a storage is incomplete; `Layout` when this is no legacy
    /// stream or its storages do not match the object; `Unsupported` for a stream of a big-endian machine.
    pub fn parse(data: &'a [u8], limits: Limits) -> Result<Self> {
        if !is_legacy(data) {
            return Err(layout!(
                "the bytes are no torch.save stream of the old layout"
            ));
        }
        let mut rest = &data[2 + MAGIC.len()..];
        let mut next = |what: &str| -> Result<Pickle<'a>> {
            let pickle = Pickle::parse(rest, limits)
                .inspect_err(|_| tracing::debug!("in the {what} of a torch stream"))?;
            rest = &rest[pickle.end()..];
            Ok(pickle)
        };
        let version = next("version")?;
        if version.root().int() != Some(PROTOCOL_VERSION) {
            return Err(layout!(
                "a torch.save stream of a version other than {PROTOCOL_VERSION}"
            ));
        }
        let system = next("system information")?;
        if system.root().get("little_endian").and_then(Value::int) != Some(1) {
            return Err(Error::Unsupported(
                "a torch.save stream of a big-endian machine".into(),
            ));
        }
        let pickle = next("object")?;
        let keys = next("list of storages")?;
        let dtypes = storage_dtypes(&pickle);
        let mut storages = HashMap::new();
        for key in keys
            .root()
            .elements()
            .ok_or_else(|| layout!("the list of storages is no list"))?
        {
            let key = key
                .text()
                .ok_or_else(|| layout!("a storage key is no text"))?;
            let dtype = *dtypes
                .get(key)
                .ok_or_else(|| layout!("storage `{}` is never used", shown(key)))?;
            let missing = || Error::Truncated {
                offset: data.len(),
                what: "a tensor storage",
            };
            let (count, tail) = rest.split_at_checked(8).ok_or_else(missing)?;
            let mut le = [0; 8];
            le.copy_from_slice(count);
            let bytes = usize::try_from(u64::from_le_bytes(le))
                .ok()
                .and_then(|n| n.checked_mul(dtype.size()))
                .ok_or_else(missing)?;
            let (bytes, tail) = tail.split_at_checked(bytes).ok_or_else(missing)?;
            if storages.insert(key.to_owned(), bytes).is_some() {
                return Err(layout!("storage `{}` is listed twice", shown(key)));
            }
            rest = tail;
        }
        keys.check_budget()?;
        pickle.check_budget()?;
        Ok(Self { pickle, storages })
    }
}

/// The first 60 characters of a storage key, for a message.
fn shown(key: &str) -> String {
    key.chars().take(60).collect()
}

/// The element type of every storage that the pickle refers to, by storage key.
fn storage_dtypes<'p>(pickle: &'p Pickle<'_>) -> HashMap<&'p str, DType> {
    pickle
        .values()
        .filter_map(|value| {
            let id = value.persistent()?.few()?;
            let dtype = match id.get(1)?.constructor()? {
                Constructor::Storage(dtype) => dtype,
                Constructor::UntypedStorage => DType::U8,
                _ => return None,
            };
            Some((id.get(2)?.text()?, dtype))
        })
        .collect()
}
