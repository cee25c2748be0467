//! Scalars that the losses of a training step report, such as loss values, and that the host reads later.
//!
//! On a GPU the computation of a value may not have finished when it is reported. So the values of a step are gathered
//! in one tensor and copied to the host in one transfer, and the host waits for this transfer only after it has
//! submitted the next step.

use candle_core::Tensor;
use ops::transfer::Download;

use crate::error::Result;

/// Callback for reported scalars: receives NVIDIA's name (`Loss/scores/fake`) and one value for each sample.
pub type ScalarSink<'a> = dyn FnMut(&str, &[f32]) + 'a;

/// The scalars that a training step has reported so far, in the order of the reports.
#[derive(Default)]
pub struct DeferredScalars {
    buffers: Vec<Tensor>,
    reports: Vec<Report>,
}

/// One name and the values reported under it.
struct Report {
    name: String,
    /// Index of the buffer with the values.
    buffer: usize,
    transform: Transform,
}

/// The operation that computes the reported values from the values in the buffer. It runs on the host.
enum Transform {
    Identity,
    /// The sign: 1, 0 or -1, or NaN for NaN.
    Sign,
    /// Multiplies each value by this factor.
    Scale(f32),
    /// Adds the values of the buffer with this index, element by element.
    Add(usize),
}

/// Handle of a buffer of scalars in a [`DeferredScalars`]. Several reports can be made from one buffer.
#[derive(Clone, Copy)]
pub(crate) struct ScalarBuffer(usize);

impl DeferredScalars {
    /// Stores values of any shape, flattened, without reporting them.
    pub(crate) fn buffer(&mut self, values: &Tensor) -> Result<ScalarBuffer> {
        self.buffers.push(values.detach().flatten_all()?);
        Ok(ScalarBuffer(self.buffers.len() - 1))
    }

    fn push(&mut self, name: impl Into<String>, buffer: ScalarBuffer, transform: Transform) {
        self.reports.push(Report {
            name: name.into(),
            buffer: buffer.0,
            transform,
        });
    }

    /// Reports the values of a buffer under `name`.
    pub(crate) fn report(&mut self, name: &str, buffer: ScalarBuffer) {
        self.push(name, buffer, Transform::Identity);
    }

    /// Reports the values of a buffer times `factor` under `name`.
    pub(crate) fn report_scaled(&mut self, name: &str, buffer: ScalarBuffer, factor: f32) {
        self.push(name, buffer, Transform::Scale(factor));
    }

    /// Reports the element-wise sum of two buffers of the same length under `name`.
    pub(crate) fn report_sum(&mut self, name: &str, buffer: ScalarBuffer, other: ScalarBuffer) {
        self.push(name, buffer, Transform::Add(other.0));
    }

    /// Reports the discriminator's logits as `Loss/scores/<kind>` and their signs as `Loss/signs/<kind>`; `kind` is
    /// `real` or `fake`.
    pub(crate) fn report_scores(&mut self, kind: &str, logits: &Tensor) -> Result<()> {
        let buffer = self.buffer(logits)?;
        self.push(format!("Loss/scores/{kind}"), buffer, Transform::Identity);
        self.push(format!("Loss/signs/{kind}"), buffer, Transform::Sign);
        Ok(())
    }

    /// Starts the copy of all values to the host, without waiting for it.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn send(self) -> Result<PendingScalars> {
        let lengths = self.buffers.iter().map(Tensor::elem_count).collect();
        let download = match self.buffers.is_empty() {
            true => None,
            false => Some(Download::of(&Tensor::cat(&self.buffers, 0)?)?),
        };
        Ok(PendingScalars {
            lengths,
            download,
            reports: self.reports,
        })
    }
}

/// Scalars of a training step that are being copied to the host.
pub struct PendingScalars {
    /// Number of values of each buffer.
    lengths: Vec<usize>,
    download: Option<Download>,
    reports: Vec<Report>,
}

impl PendingScalars {
    /// Waits for the copy and passes the values to `sink`, in the order in which they were reported.
    ///
    /// # Errors
    /// When work submitted to the device earlier, or the copy itself, failed.
    pub fn report(self, sink: &mut ScalarSink<'_>) -> Result<()> {
        let all = self.download.map(Download::wait).transpose()?;
        let mut rest = all.as_deref().unwrap_or_default();
        let mut buffers = Vec::with_capacity(self.lengths.len());
        for len in self.lengths {
            let (buffer, behind) = rest.split_at(len);
            buffers.push(buffer);
            rest = behind;
        }
        for report in self.reports {
            let values = buffers[report.buffer];
            match report.transform {
                Transform::Identity => sink(&report.name, values),
                Transform::Sign => {
                    let signs: Vec<f32> = values.iter().map(sign).collect();
                    sink(&report.name, &signs);
                }
                Transform::Scale(factor) => {
                    let products: Vec<f32> = values.iter().map(|value| value * factor).collect();
                    sink(&report.name, &products);
                }
                Transform::Add(other) => {
                    let pairs = values.iter().zip(buffers[other]);
                    let sums: Vec<f32> = pairs.map(|(a, b)| a + b).collect();
                    sink(&report.name, &sums);
                }
            }
        }
        Ok(())
    }
}

/// Returns the sign of `x`: 1, 0 or -1, or NaN for NaN.
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
        let mut scalars = DeferredScalars::default();
        let scores = tensor(&[2.0, 0.0, -0.5]).reshape((3, 1)).unwrap();
        scalars.report_scores("fake", &scores).unwrap();
        let a = scalars.buffer(&tensor(&[1.0, 2.0])).unwrap();
        let b = scalars.buffer(&tensor(&[10.0, 20.0])).unwrap();
        scalars.report_sum("sum", b, a);
        scalars.report("a", a);
        scalars.report_scaled("twice", a, 2.0);
        let mut seen = Vec::new();
        let mut sink = |name: &str, values: &[f32]| seen.push((name.to_owned(), values.to_vec()));
        scalars.send().unwrap().report(&mut sink).unwrap();
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
        let empty = DeferredScalars::default().send().unwrap();
        empty
            .report(&mut |_, _| panic!("nothing was reported"))
            .unwrap();
    }
}
