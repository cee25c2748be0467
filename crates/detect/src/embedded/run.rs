//! Inference of the network on f32 slices, for a batch of images of one padded size, on the calling thread.
//!
//! The convolutions are those of the `kernels` crate (Winograd for 3x3), which take half the time of an ONNX runtime.
//! The tests compare the results with such a runtime, for which `graph` writes the same network.

mod buffers;
mod split;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;

use image::RgbImage;
use kernels::conv::{self, ConvGeometry, Direction, Prepared, Scales};
use kernels::{ConvAlgorithm, parallel};

use self::buffers::Buffers;
use self::split::{split_geometry, split_images, split_kernels};
use super::network::{Convolution, INPUT, LEVELS, convolutions};
use super::walk::{LayerBackend, Operand, walk};
use super::weights::Weights;
use crate::onnx::Output;

/// The result of one layer, `[images, channels, height, width]`.
struct Map {
    /// The values, possibly followed by leftovers of earlier runs.
    buffer: Vec<f32>,
    images: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Map {
    fn plane(&self) -> usize {
        self.height * self.width
    }

    fn len(&self) -> usize {
        self.images * self.channels * self.plane()
    }

    fn values(&self) -> &[f32] {
        &self.buffer[..self.len()]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        let len = self.len();
        &mut self.buffer[..len]
    }
}

/// The network with its weights in the layout that the kernels read, and reusable buffers.
pub(super) struct Network {
    convolutions: HashMap<&'static str, PreparedConvolution>,
    /// Padding of the first convolution on each side of the image.
    padding: usize,
    /// Sets of buffers that no run is using.
    idle: Mutex<Vec<Buffers>>,
}

struct PreparedConvolution {
    /// Geometry of the convolution; number and size of the images are replaced in each run.
    geometry: ConvGeometry,
    weights: Vec<f32>,
    prepared: Prepared,
    bias: Vec<f32>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Prepares the weights of all convolutions.
    ///
    /// # Errors
    /// A message when a weight is missing or its shape does not fit the network.
    pub fn new(weights: &Weights) -> Result<Self, String> {
        let mut prepared = HashMap::new();
        let mut padding = 0;
        for (name, convolution) in convolutions() {
            let shape = convolution.weight_shape();
            let weight = weights.get(&format!("{name}.weight"), &shape)?;
            let bias = weights.get(&format!("{name}.bias"), &shape[..1])?;
            let (weight, geometry) = if convolution.input == INPUT {
                assert!(
                    convolution.kernel % 2 == 0 && convolution.stride % 2 == 0,
                    "planes are split in two"
                );
                padding = convolution.padding();
                (
                    split_kernels(weight, convolution.kernel),
                    split_geometry(&convolution),
                )
            } else {
                (weight.to_vec(), geometry(&convolution))
            };
            prepared.insert(name, PreparedConvolution::new(geometry, weight, bias));
        }
        Ok(Self {
            convolutions: prepared,
            padding,
            idle: Mutex::default(),
        })
    }

    /// Runs the network on a batch of images; returns for each image one output `[1, 5, cells]` per level.
    ///
    /// Each image is padded with gray at the right and the bottom to the size `canvas` (width, height), whose sides
    /// must be multiples of 32. For small images reading the weights takes longer than multiplying with them, so a
    /// batch takes little more time than one image.
    pub fn run(&self, images: &[&RgbImage], canvas: (u32, u32)) -> Vec<Vec<Output>> {
        let idle = || {
            self.idle
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
        };
        let mut buffers = idle().pop().unwrap_or_default();
        let outputs = parallel::alone(|| self.run_here(images, canvas, &mut buffers));
        idle().push(buffers);
        outputs
    }

    fn run_here(
        &self,
        images: &[&RgbImage],
        canvas: (u32, u32),
        buffers: &mut Buffers,
    ) -> Vec<Vec<Output>> {
        let input = split_images(images, canvas, self.padding, buffers);
        let mut backend = SliceBackend {
            convolutions: &self.convolutions,
            buffers,
        };
        let Ok(maps) = walk(&mut backend, input, &LEVELS.map(|level| level.layer));
        let mut outputs: Vec<Vec<Output>> = images.iter().map(|_| Vec::new()).collect();
        for map in maps {
            let values = map.values().chunks_exact(map.channels * map.plane());
            for (outputs, values) in outputs.iter_mut().zip(values) {
                outputs.push(Output {
                    shape: [1, map.channels, map.plane()],
                    values: values.to_vec(),
                });
            }
            buffers.give(map.buffer);
        }
        outputs
    }
}

/// A [`LayerBackend`] that computes layers on slices.
struct SliceBackend<'a> {
    convolutions: &'a HashMap<&'static str, PreparedConvolution>,
    buffers: &'a mut Buffers,
}

impl SliceBackend<'_> {
    /// The operand as an owned result that may be overwritten: the result itself if the current layer is its last
    /// reader, otherwise a copy.
    fn owned(&mut self, operand: Operand<'_, Map>) -> Map {
        match operand {
            Operand::Last(map) => map,
            Operand::Shared(map) => {
                let mut copy = Map {
                    buffer: self.buffers.take(map.len()),
                    ..*map
                };
                copy.values_mut().copy_from_slice(map.values());
                copy
            }
        }
    }

    /// Keeps the buffer of the operand for reuse if it is not read again.
    fn recycle(&mut self, operand: Operand<'_, Map>) {
        if let Operand::Last(map) = operand {
            self.buffers.give(map.buffer);
        }
    }
}

impl LayerBackend for SliceBackend<'_> {
    type Value = Map;
    type Error = Infallible;

    fn convolution(
        &mut self,
        name: &'static str,
        convolution: &Convolution,
        x: Operand<'_, Map>,
    ) -> Result<Map, Infallible> {
        let prepared = &self.convolutions[name];
        let y = prepared.run(&x, convolution.is_rectified, self.buffers);
        self.recycle(x);
        Ok(y)
    }

    fn add(
        &mut self,
        _name: &'static str,
        a: Operand<'_, Map>,
        b: Operand<'_, Map>,
    ) -> Result<Map, Infallible> {
        let mut sum = self.owned(b);
        kernels::add_rectified(sum.values_mut(), a.values());
        self.recycle(a);
        Ok(sum)
    }

    fn add_coarse(
        &mut self,
        _name: &'static str,
        fine: Operand<'_, Map>,
        coarse: Operand<'_, Map>,
    ) -> Result<Map, Infallible> {
        let mut sum = self.owned(fine);
        add_upsampled(&mut sum, &coarse);
        self.recycle(coarse);
        Ok(sum)
    }
}

/// Adds to `sum` a result of half its height and width, upsampled by nearest neighbor.
fn add_upsampled(sum: &mut Map, coarse: &Map) {
    let (height, width) = (sum.height, sum.width);
    let rows = sum.values_mut().chunks_exact_mut(width).enumerate();
    for (row, sums) in rows {
        let (plane, y) = (row / height, row % height);
        let from = plane * coarse.plane() + y / 2 * coarse.width;
        let values = &coarse.values()[from..from + coarse.width];
        for (pair, value) in sums.chunks_exact_mut(2).zip(values) {
            pair[0] += value;
            pair[1] += value;
        }
    }
}

impl PreparedConvolution {
    fn new(geometry: ConvGeometry, weights: Vec<f32>, bias: &[f32]) -> Self {
        let prepared = conv::prepare_with(
            ConvAlgorithm::Winograd4,
            &geometry,
            &weights,
            Direction::Forward,
        );
        Self {
            geometry,
            weights,
            prepared,
            bias: bias.to_vec(),
        }
    }

    fn run(&self, x: &Map, is_rectified: bool, buffers: &mut Buffers) -> Map {
        let g = ConvGeometry {
            n: x.images,
            h: x.height,
            w: x.width,
            ..self.geometry
        };
        let (height, width) = (g.out_height(), g.out_width());
        let mut y = Map {
            buffer: buffers.take(g.n * g.co * height * width),
            images: g.n,
            channels: g.co,
            height,
            width,
        };
        conv::forward_into(
            &g,
            x.values(),
            &self.weights,
            &self.prepared,
            Scales::default(),
            y.values_mut(),
        );
        let planes = y.values_mut().chunks_exact_mut(height * width);
        for (plane, &bias) in planes.zip(self.bias.iter().cycle()) {
            kernels::add_bias(plane, bias, is_rectified);
        }
        y
    }
}

/// Geometry of a convolution; number and size of the images are placeholders.
fn geometry(convolution: &Convolution) -> ConvGeometry {
    let [co, ci, kernel, _] = convolution.weight_shape();
    ConvGeometry {
        n: 1,
        ci,
        co,
        h: 64,
        w: 64,
        kh: kernel,
        kw: kernel,
        stride: convolution.stride,
        padding: convolution.padding(),
        groups: 1,
        swapped: false,
        gain: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{WEIGHTS, graph};
    use super::*;
    use crate::onnx::Runner;
    use crate::onnx::tensor::{Coding, place};

    /// The network's input coding: red, green, blue in `-1..=1`, padded with gray.
    const CODING: Coding = Coding {
        order: [0, 1, 2],
        mean: [127.5; 3],
        factor: 1.0 / 127.5,
        fill: [127.5; 3],
    };

    #[test]
    fn results_are_those_of_an_onnx_runtime() {
        let weights = Weights::parse(WEIGHTS).unwrap();
        let network = Network::new(&weights).unwrap();
        let runner = Runner::load(graph::onnx(&weights).unwrap()).unwrap();
        // From one to many cells of the coarsest level; square or not, with and without padding; the last with used
        // buffers.
        let sizes = [
            ((32, 32), (32, 32)),
            ((64, 32), (1, 31)),
            ((96, 160), (95, 130)),
            ((256, 224), (250, 224)),
            ((96, 96), (96, 77)),
        ];
        for (canvas, (width, height)) in sizes {
            let image = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([(x * 3 + y) as u8, (x * y) as u8, (y * 5) as u8])
            });
            let input = place(&image, (width, height), canvas, (0, 0), &CODING);
            let expected = runner.run(input.values, canvas).unwrap();
            let small = RgbImage::from_pixel(width.div_ceil(2), height, image::Rgb([9, 200, 90]));
            let alone = network.run(&[&image], canvas).remove(0);
            let together = network.run(&[&small, &image, &small], canvas);
            assert_eq!(together.len(), 3);
            let results = &together[1];
            for (result, alone) in results.iter().zip(&alone) {
                assert_eq!(result.values, alone.values, "{canvas:?}");
            }
            assert_eq!(results.len(), expected.len());
            for (result, expected) in results.iter().zip(expected) {
                let expected = expected.unwrap();
                assert_eq!(result.shape, expected.shape);
                for (a, b) in result.values.iter().zip(&expected.values) {
                    assert!((a - b).abs() < 2e-3, "{canvas:?}: {a} {b}");
                }
            }
        }
    }
}
