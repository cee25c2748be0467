//! What losses tell of a step. The numbers may still be computed on a card: they are gathered there, read together, and
//! waited for when the card has its next work.

use candle_core::Tensor;
use ops::transfer::Download;

use crate::error::Result;

/// Takes a value of each sample under its official name (`Loss/scores/fake`).
pub type Report<'a> = dyn FnMut(&str, &[f32]) + 'a;

/// What was told so far, in order.
#[derive(Default)]
pub struct Readings {
    parts: Vec<Tensor>,
    told: Vec<Told>,
}

/// What is reported under a name.
struct Told {
    name: String,
    /// The number of its part.
    part: usize,
    made: Made,
}

/// What is made of a part.
enum Made {
    /// The numbers as they are.
    Values,
    /// 1, 0 or -1.
    Signs,
    /// The numbers times this.
    Times(f32),
    /// The numbers, added to those of another part.
    Plus(usize),
}

/// A part, to be told of again.
#[derive(Clone, Copy)]
pub(crate) struct Part(usize);

impl Readings {
    /// Takes numbers without telling of them.
    pub(crate) fn part(&mut self, values: &Tensor) -> Result<Part> {
        self.parts.push(values.detach().flatten_all()?);
        Ok(Part(self.parts.len() - 1))
    }

    fn tell(&mut self, name: impl Into<String>, part: Part, made: Made) {
        self.told.push(Told {
            name: name.into(),
            part: part.0,
            made,
        });
    }

    pub(crate) fn values(&mut self, name: &str, part: Part) {
        self.tell(name, part, Made::Values);
    }

    pub(crate) fn times(&mut self, name: &str, part: Part, factor: f32) {
        self.tell(name, part, Made::Times(factor));
    }

    pub(crate) fn sum(&mut self, name: &str, part: Part, other: Part) {
        self.tell(name, part, Made::Plus(other.0));
    }

    /// The discriminator's outputs for `real` or `fake` images, and their signs.
    pub(crate) fn scores(&mut self, kind: &str, logits: &Tensor) -> Result<()> {
        let part = self.part(logits)?;
        self.tell(format!("Loss/scores/{kind}"), part, Made::Values);
        self.tell(format!("Loss/signs/{kind}"), part, Made::Signs);
        Ok(())
    }

    /// Asks for all numbers in one copy.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn send(self) -> Result<SentReadings> {
        let lengths = self.parts.iter().map(Tensor::elem_count).collect();
        let numbers = match self.parts.is_empty() {
            true => None,
            false => Some(Download::of(&Tensor::cat(&self.parts, 0)?)?),
        };
        Ok(SentReadings {
            lengths,
            numbers,
            told: self.told,
        })
    }
}

/// Numbers on their way.
pub struct SentReadings {
    lengths: Vec<usize>,
    numbers: Option<Download>,
    told: Vec<Told>,
}

impl SentReadings {
    /// Waits for the numbers and reports them, in the order in which they were told.
    ///
    /// # Errors
    /// What the device says of all that it had to do before.
    pub fn report(self, report: &mut Report<'_>) -> Result<()> {
        let numbers = self.numbers.map(Download::wait).transpose()?;
        let mut rest = numbers.as_deref().unwrap_or_default();
        let mut parts = Vec::with_capacity(self.lengths.len());
        for len in self.lengths {
            let (part, behind) = rest.split_at(len);
            parts.push(part);
            rest = behind;
        }
        for Told { name, part, made } in self.told {
            let values = parts[part];
            match made {
                Made::Values => report(&name, values),
                Made::Signs => {
                    let signs: Vec<f32> = values.iter().map(sign).collect();
                    report(&name, &signs);
                }
                Made::Times(factor) => {
                    let products: Vec<f32> = values.iter().map(|value| value * factor).collect();
                    report(&name, &products);
                }
                Made::Plus(other) => {
                    let pairs = values.iter().zip(parts[other]);
                    let sums: Vec<f32> = pairs.map(|(a, b)| a + b).collect();
                    report(&name, &sums);
                }
            }
        }
        Ok(())
    }
}

/// Of 0 and of what is no number: itself.
fn sign(x: &f32) -> f32 {
    match *x {
        x if x > 0.0 => 1.0,
        x if x < 0.0 => -1.0,
        x => x,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn everything_is_reported_in_order() {
        let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
        let mut readings = Readings::default();
        let scores = tensor(&[2.0, 0.0, -0.5]).reshape((3, 1)).unwrap();
        readings.scores("fake", &scores).unwrap();
        let a = readings.part(&tensor(&[1.0, 2.0])).unwrap();
        let b = readings.part(&tensor(&[10.0, 20.0])).unwrap();
        readings.sum("sum", b, a);
        readings.values("a", a);
        readings.times("twice", a, 2.0);
        let mut seen = Vec::new();
        let mut report = |name: &str, values: &[f32]| seen.push((name.to_owned(), values.to_vec()));
        readings.send().unwrap().report(&mut report).unwrap();
        let expected: [(&str, &[f32]); 5] = [
            ("Loss/scores/fake", &[2.0, 0.0, -0.5]),
            ("Loss/signs/fake", &[1.0, 0.0, -1.0]),
            ("sum", &[11.0, 22.0]),
            ("a", &[1.0, 2.0]),
            ("twice", &[2.0, 4.0]),
        ];
        assert_eq!(seen.len(), expected.len());
        for ((name, values), expected) in seen.iter().zip(expected) {
            assert_eq!((name.as_str(), values.as_slice()), expected);
        }
        let nothing = Readings::default().send().unwrap();
        nothing
            .report(&mut |_, _| panic!("nothing was told"))
            .unwrap();
    }
}
