//! Reads the instructions of a pickle stream.

use super::node::{Id, Limits};
use super::stack::Machine;
use super::stream::Pickle;
use super::value::Value;
use crate::error::Result;

impl<'a> Pickle<'a> {
    /// Parses one pickle from the start of `data`. Bytes after its STOP instruction are ignored; see [`Pickle::end`].
    ///
    /// # Errors
    /// `Truncated` when the data ends before STOP, `Pickle` for a malformed stream, `UnknownGlobal` for a reference to
    /// a Python object that is not a [`Constructor`](super::Constructor), `Limit` when `limits` are exceeded.
    pub fn parse(data: &'a [u8], limits: Limits) -> Result<Self> {
        let mut machine = Machine::new(data, limits);
        let root = machine.run()?;
        Ok(Self::new(machine.nodes, root, machine.pos))
    }

    /// The pickled value.
    pub fn root(&self) -> Value<'_, 'a> {
        Value::new(self, self.root)
    }

    /// All values that the stream creates, in order, whether the root refers to them or not.
    pub(crate) fn values(&self) -> impl Iterator<Item = Value<'_, 'a>> {
        (0..self.nodes.len()).map(|id| Value::new(self, id as Id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn parse(data: &[u8]) -> Result<Pickle<'_>> {
        Pickle::parse(
            data,
            Limits {
                values: 10_000,
                stack: 10_000,
            },
        )
    }

    #[test]
    fn every_protocol_gives_the_same_value() {
        // pickle.dumps({'a': (1, -2, 3.5), 'b': [True, None, 'é']}, protocol=p), p = 0..5
        let streams: [&[u8]; 6] = [
            b"(dp0\nVa\np1\n(I1\nI-2\nF3.5\ntp2\nsVb\np3\n(lp4\nI01\naNaV\xe9\np5\nas.",
            b"}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00tq\x02X\x01\x00\x00\x00bq\x03]q\x04(I01\nNX\x02\x00\x00\x00\xc3\xa9q\x05eu.",
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04(\x88NX\x02\x00\x00\x00\xc3\xa9q\x05eu.",
            b"\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04(\x88NX\x02\x00\x00\x00\xc3\xa9q\x05eu.",
            b"\x80\x04\x95)\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87\x94\x8c\x01b\x94]\x94(\x88N\x8c\x02\xc3\xa9\x94eu.",
            b"\x80\x05\x95)\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00\x87\x94\x8c\x01b\x94]\x94(\x88N\x8c\x02\xc3\xa9\x94eu.",
        ];
        for data in streams {
            let pickle = parse(data).unwrap();
            assert_eq!(
                pickle.root().to_json().unwrap(),
                serde_json::json!({"a": [1, -2, 3.5], "b": [true, null, "é"]})
            );
            assert_eq!(pickle.end(), data.len());
        }
    }

    #[test]
    fn integers_of_every_length() {
        for (data, value) in [
            (&b"\x8a\x00."[..], 0),
            (b"\x8a\x01\xff.", -1),
            (b"\x8a\x02\xff\x00.", 255),
            (
                b"\x8b\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80.",
                i64::MIN,
            ),
            (b"L12345678901L\n.", 12_345_678_901),
        ] {
            assert_eq!(parse(data).unwrap().root().int(), Some(value));
        }
        // An integer of more than 64 bits is accepted, but its value is not kept.
        assert_eq!(
            parse(b"\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09.")
                .unwrap()
                .root()
                .int(),
            None
        );
    }

    #[test]
    fn unknown_globals_are_named_and_not_run() {
        let err = parse(b"cos\nsystem\n(S'echo hello'\ntR.")
            .unwrap_err()
            .to_string();
        assert!(
            err.contains("`os.system`") && err.contains("do not open"),
            "{err}"
        );
        let err = parse(b"\x80\x04\x8c\x11torch.nn.modules.\x8c\x06Linear\x93.")
            .unwrap_err()
            .to_string();
        assert!(err.contains("state_dict"), "{err}");
    }

    #[test]
    fn hostile_streams_are_errors() {
        // Cut short, at every length.
        let whole = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94u.";
        for n in 0..whole.len() {
            assert!(parse(&whole[..n]).is_err(), "{n} bytes");
        }
        // Huge lengths with nothing behind them.
        assert!(matches!(
            parse(b"B\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(
            parse(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(
            parse(b"\x8b\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(
            parse(b"\x95\xff\xff\xff\xff\xff\xff\xff\xff"),
            Err(Error::Truncated { .. })
        ));
        // Stack and memo misuse.
        for data in [
            &b"."[..],
            b"0.",
            b"(0a.",
            b"K\x01(.",
            b"t.",
            b"h\x05.",
            b"(K\x01d.",
            b"NNb.",
            b"NNR.",
            b"]K\x01s.",
            b"\xff",
        ] {
            assert!(parse(data).is_err(), "{data:?}");
        }
        // More values than allowed.
        assert!(matches!(parse(&[b'N'; 20_000]), Err(Error::Limit { .. })));
        assert!(matches!(parse(&[b'('; 20_000]), Err(Error::Limit { .. })));
    }

    #[test]
    fn nested_encodings_are_no_text() {
        // `_codecs.encode(_codecs.encode(... 'a' ...))`, as a key of a dictionary.
        const N: usize = 100_000;
        let nested = |n: usize| {
            let mut data = b"\x80\x02}c_codecs\nencode\nq\x000".to_vec();
            data.extend(b"h\x00".repeat(n));
            data.extend(b"X\x01\x00\x00\x00a");
            data.extend(b"\x85R".repeat(n));
            data.extend(b"K\x05s.");
            data
        };
        let deep = nested(N);
        let pickle = Pickle::parse(&deep, Limits::default()).unwrap();
        assert!(pickle.root().get("a").is_none());
        assert!(pickle.root().to_json().is_ok());
        let one = nested(1);
        let pickle = parse(&one).unwrap();
        assert_eq!(pickle.root().get("a").and_then(Value::int), Some(5));
    }

    #[test]
    fn a_list_that_stands_in_many_places_is_unfolded_within_a_budget() {
        // dict(pairs, pairs, ...): 64 times one list of 1000 pairs.
        let mut shared = b"\x80\x02cbuiltins\ndict\nq\x00]q\x01(".to_vec();
        shared.extend(b"NN\x86".repeat(1000));
        shared.extend(b"e0h\x00(");
        shared.extend(b"h\x01".repeat(64));
        shared.extend(b"tR.");
        let pickle = parse(&shared).unwrap();
        assert!(pickle.check_budget().is_ok());
        assert!(pickle.root().entries().is_none());
        let error = pickle.check_budget().unwrap_err().to_string();
        assert!(error.contains("stands in many places"), "{error}");
        // Reading the same value repeatedly also spends the budget.
        let pickle = parse(b"\x80\x02]q\x00(NNNNe.").unwrap();
        let n = std::iter::repeat_with(|| pickle.root().elements()).take_while(Option::is_some);
        assert_eq!(n.count() as u64, (16 * 12 + (4 << 20)) / 4);
        assert!(pickle.check_budget().is_err());
    }

    #[test]
    fn deep_nesting_and_cycles_do_not_overflow_the_stack() {
        let mut deep = vec![b']'; 1_000_000];
        deep.extend(vec![b'a'; 999_999]);
        deep.push(b'.');
        let pickle = Pickle::parse(&deep, Limits::default()).unwrap();
        assert!(matches!(pickle.root().to_json(), Err(Error::Limit { .. })));
        drop(pickle);
        // A list that contains itself.
        let cycle = parse(b"]q\x00h\x00a.").unwrap();
        assert!(cycle.root().to_json().is_err());
        // A list of two references to a list of two references ...: 2^60 leaves when walked.
        let mut bomb = b"]q\x00".to_vec();
        for i in 0..60u8 {
            bomb.extend_from_slice(&[b']', b'q', i + 1, b'(', b'h', i, b'h', i, b'e']);
        }
        bomb.push(b'.');
        assert!(matches!(
            parse(&bomb).unwrap().root().to_json(),
            Err(Error::Limit { .. })
        ));
    }
}
