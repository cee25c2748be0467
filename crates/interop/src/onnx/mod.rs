//! Exports a generator to ONNX: mapping, truncation and synthesis with the stored noise (`noise_const`), in f32.
//!
//! The inputs of the graph are `z` `[batch, z_dim]`, `c` `[batch, c_dim]` for networks with labels, and the scalar
//! `truncation_psi` for networks with `w_avg`. The output is `images` `[batch, channels, resolution, resolution]`, with
//! values from about -1 to 1. Weight modulation is expressed as a scaling of the features before and after an ordinary
//! convolution, so that any batch size works.

mod graph;

use architecture::{Activation, Architecture, GeneratorConfig, NetworkConfig};
use indexmap::IndexMap;

use self::graph::{Attribute, Graph};
use crate::checkpoint::{Checkpoint, Network};
use crate::describe::weights_checksum;
use crate::error::{Error, Result, layout};
use crate::tensor::Tensor;

/// Returns the bytes of an ONNX file with the generator of a checkpoint: `G_ema`, or `G` if there is no `G_ema`.
///
/// # Errors
/// `Layout` when there is no generator or a tensor is missing; `Unsupported` for the `resnet` architecture, for
/// activations other than `lrelu` in both mapping and synthesis network or `relu` in both, and for resampling filters
/// whose number of taps is odd or not from 4 to 16.
pub fn onnx_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let (key, network) = match (&checkpoint.g_ema, &checkpoint.g) {
        (Some(g_ema), _) => ("G_ema", g_ema),
        (None, Some(g)) => ("G", g),
        (None, None) => return Err(layout!("the file has no generator to export")),
    };
    let metadata = [
        ("network".to_owned(), key.to_owned()),
        ("source".to_owned(), checkpoint.provenance.source.clone()),
        ("weights_sha256".to_owned(), weights_checksum(network)),
    ];
    let mut graph = Graph::default();
    Export::new(network)?.generator(&mut graph)?;
    Ok(graph.into_model("generator", &metadata))
}

struct Export<'n> {
    config: &'n GeneratorConfig,
    network: &'n Network,
    /// Slope of the activation for inputs below 0: 0.2 for `lrelu`, 0 for `relu`.
    slope: f32,
}

/// Attributes of a convolution node. All are written explicitly, because some ONNX runtimes do not infer them.
struct Convolution {
    kernel: usize,
    stride: i64,
    /// Padding before and after, in pixels, the same for both axes.
    pads: [usize; 2],
    groups: usize,
}

impl Convolution {
    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let [before, after] = self.pads.map(|pad| pad as i64);
        let kernel = self.kernel as i64;
        vec![
            ("kernel_shape", Attribute::Ints(vec![kernel; 2])),
            ("strides", Attribute::Ints(vec![self.stride; 2])),
            ("dilations", Attribute::Ints(vec![1; 2])),
            ("pads", Attribute::Ints(vec![before, before, after, after])),
            ("group", Attribute::Int(self.groups as i64)),
        ]
    }
}

/// A dense layer without its activation.
struct Dense<'a> {
    name: &'a str,
    lr_multiplier: f64,
    /// Additional factor of weight and bias.
    gain: f64,
}

impl<'n> Export<'n> {
    fn new(network: &'n Network) -> Result<Self> {
        let NetworkConfig::Generator(config) = &network.config else {
            return Err(layout!("only generators are exported"));
        };
        if config.architecture == Architecture::Resnet {
            return Err(Error::Unsupported(
                "generators of the resnet architecture are not exported to ONNX".into(),
            ));
        }
        let taps = config.resample_filter.len();
        if !(4..=16).contains(&taps) || taps % 2 == 1 {
            return Err(Error::Unsupported(format!(
                "a resample_filter of {taps} taps is not exported to ONNX"
            )));
        }
        let slope = match (config.activation, config.mapping.activation) {
            (Activation::Lrelu, Activation::Lrelu) => 0.2,
            (Activation::Relu, Activation::Relu) => 0.0,
            (a, b) => {
                return Err(Error::Unsupported(format!(
                    "the activations {a} and {b} are not exported to ONNX, only lrelu or relu"
                )));
            }
        };
        Ok(Self {
            config,
            network,
            slope,
        })
    }

    fn tensor(&self, name: &str) -> Result<&'n Tensor> {
        let find = |map: &'n IndexMap<String, Tensor>| map.get(name);
        find(&self.network.params)
            .or_else(|| find(&self.network.buffers))
            .ok_or_else(|| layout!("the generator has no tensor `{name}`"))
    }

    fn has(&self, name: &str) -> bool {
        self.tensor(name).is_ok()
    }

    fn generator(&self, graph: &mut Graph) -> Result<()> {
        let c = self.config;
        let w = self.mapping(graph)?;
        let mut img: Option<String> = None;
        let mut x = String::new();
        for resolution in c.block_resolutions() {
            let block = format!("synthesis.b{resolution}");
            if resolution == 4 {
                let values = self.tensor(&format!("{block}.const"))?;
                let shape: Vec<usize> = [&[1][..], &values.shape].concat();
                x = graph.constant(&format!("{block}.const"), &shape, &values.to_f32());
            } else {
                x = self.layer(graph, &format!("{block}.conv0"), &x, &w, resolution, true)?;
                img = img.map(|img| self.upsample(graph, &img));
            }
            x = self.layer(graph, &format!("{block}.conv1"), &x, &w, resolution, false)?;
            let is_last = resolution == c.img_resolution;
            if c.architecture == Architecture::Skip || is_last {
                let y = self.to_rgb(graph, &format!("{block}.torgb"), &x, &w)?;
                img = Some(match img {
                    Some(img) => graph.node("Add", &[&img, &y], &[]),
                    None => y,
                });
            }
        }
        let img = img.ok_or_else(|| layout!("the generator makes no image"))?;
        graph.node_named("Identity", &[&img], &[], "images");
        let side = Some(c.img_resolution);
        graph.output("images", &[None, Some(c.img_channels), side, side]);
        Ok(())
    }

    fn mapping(&self, graph: &mut Graph) -> Result<String> {
        let c = self.config;
        let mut parts = Vec::new();
        if c.z_dim > 0 {
            graph.input("z", &[None, Some(c.z_dim)]);
            parts.push(self.normalize(graph, "z"));
        }
        if c.c_dim > 0 {
            graph.input("c", &[None, Some(c.c_dim)]);
            let embed = Dense {
                name: "mapping.embed",
                lr_multiplier: 1.0,
                gain: 1.0,
            };
            let embedded = self.dense(graph, "c", &embed)?;
            parts.push(self.normalize(graph, &embedded));
        }
        let mut x = match &parts[..] {
            [one] => one.clone(),
            [z, c] => graph.node("Concat", &[z, c], &[("axis", Attribute::Int(1))]),
            _ => return Err(layout!("the generator has neither z nor labels")),
        };
        for i in 0..c.mapping.num_layers {
            let layer = Dense {
                name: &format!("mapping.fc{i}"),
                lr_multiplier: c.mapping.lr_multiplier,
                gain: 1.0,
            };
            x = self.dense(graph, &x, &layer)?;
            x = self.activation(graph, &x, None);
        }
        if !self.has("mapping.w_avg") {
            return Ok(x);
        }
        // w_avg + psi * (w - w_avg)
        graph.input("truncation_psi", &[]);
        let w_avg = self.tensor("mapping.w_avg")?;
        let w_avg = graph.constant("mapping.w_avg", &[1, c.w_dim], &w_avg.to_f32());
        let offset = graph.node("Sub", &[&x, &w_avg], &[]);
        let offset = graph.node("Mul", &[&offset, "truncation_psi"], &[]);
        Ok(graph.node("Add", &[&w_avg, &offset], &[]))
    }

    /// Adds nodes that scale each row of `x` to a mean square of 1.
    fn normalize(&self, graph: &mut Graph, x: &str) -> String {
        let square = graph.node("Mul", &[x, x], &[]);
        let axes = [
            ("axes", Attribute::Ints(vec![1])),
            ("keepdims", Attribute::Int(1)),
        ];
        let mean = graph.node("ReduceMean", &[&square], &axes);
        let epsilon = graph.constant("epsilon", &[], &[1e-8]);
        let mean = graph.node("Add", &[&mean, &epsilon], &[]);
        let root = graph.node("Sqrt", &[&mean], &[]);
        graph.node("Div", &[x, &root], &[])
    }

    fn dense(&self, graph: &mut Graph, x: &str, layer: &Dense<'_>) -> Result<String> {
        let weight = self.tensor(&format!("{}.weight", layer.name))?;
        let &[out, features] = &weight.shape[..] else {
            return Err(layout!("{}.weight is no matrix", layer.name));
        };
        let gain = layer.lr_multiplier / (features as f64).sqrt() * layer.gain;
        let scale = |values: Vec<f32>, gain: f64| -> Vec<f32> {
            let values = values.into_iter();
            values.map(|v| (f64::from(v) * gain) as f32).collect()
        };
        let values = scale(weight.to_f32(), gain);
        let weight = graph.constant(&format!("{}.weight", layer.name), &[out, features], &values);
        let bias = self.tensor(&format!("{}.bias", layer.name))?.to_f32();
        let bias = scale(bias, layer.lr_multiplier * layer.gain);
        let bias = graph.constant(&format!("{}.bias", layer.name), &[out], &bias);
        Ok(graph.node(
            "Gemm",
            &[x, &weight, &bias],
            &[("transB", Attribute::Int(1))],
        ))
    }

    /// Adds nodes for the activation, its gain `sqrt(2)` and the clamp.
    fn activation(&self, graph: &mut Graph, x: &str, clamp: Option<f64>) -> String {
        let alpha = [("alpha", Attribute::Float(self.slope))];
        let x = graph.node("LeakyRelu", &[x], &alpha);
        let gain = graph.constant("activation_gain", &[], &[std::f32::consts::SQRT_2]);
        let x = graph.node("Mul", &[&x, &gain], &[]);
        self.clamp(graph, &x, clamp)
    }

    fn clamp(&self, graph: &mut Graph, x: &str, clamp: Option<f64>) -> String {
        let Some(clamp) = clamp.map(|c| c as f32) else {
            return x.to_owned();
        };
        let low = graph.constant("clamp_low", &[], &[-clamp]);
        let high = graph.constant("clamp_high", &[], &[clamp]);
        graph.node("Clip", &[x, &low, &high], &[])
    }

    /// Adds a node that reshapes `[batch, n]` to `[batch, n, 1, 1]`.
    fn per_channel(&self, graph: &mut Graph, x: &str) -> String {
        let axes = graph.integers("pixel_axes", &[2, 3]);
        graph.node("Unsqueeze", &[x, &axes], &[])
    }

    /// Adds the nodes of a synthesis layer: modulated convolution (upsampling by 2 if `up`), noise, bias and
    /// activation.
    fn layer(
        &self,
        graph: &mut Graph,
        name: &str,
        x: &str,
        w: &str,
        resolution: usize,
        up: bool,
    ) -> Result<String> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        let &[out, input, kernel, _] = &weight.shape[..] else {
            return Err(layout!("{name}.weight is no convolution"));
        };
        let affine = Dense {
            name: &format!("{name}.affine"),
            lr_multiplier: 1.0,
            gain: 1.0,
        };
        let styles = self.dense(graph, w, &affine)?;
        let scale = self.per_channel(graph, &styles);
        let mut x = graph.node("Mul", &[x, &scale], &[]);

        if up {
            let transposed = weight.permute(&[1, 0, 2, 3])?.to_f32();
            let shape = [input, out, kernel, kernel];
            let weight = graph.constant(&format!("{name}.weight"), &shape, &transposed);
            let settings = Convolution {
                kernel,
                stride: 2,
                pads: [0; 2],
                groups: 1,
            };
            x = graph.node("ConvTranspose", &[&x, &weight], &settings.attributes());
            x = self.blur(graph, &x, out, kernel)?;
        } else {
            let weight = graph.constant(&format!("{name}.weight"), &weight.shape, &weight.to_f32());
            let settings = Convolution {
                kernel,
                stride: 1,
                pads: [kernel / 2; 2],
                groups: 1,
            };
            x = graph.node("Conv", &[&x, &weight], &settings.attributes());
        }

        // Demodulation: 1 / sqrt(sum of (weight * style)^2).
        let squares = weight.to_f32();
        let squares: Vec<f32> = squares
            .chunks_exact(kernel * kernel)
            .map(|taps| taps.iter().map(|&t| f64::from(t).powi(2)).sum::<f64>() as f32)
            .collect();
        let squares = graph.constant(&format!("{name}.squares"), &[out, input], &squares);
        let epsilons = graph.constant(&format!("{name}.epsilon"), &[out], &vec![1e-8; out]);
        let styles = graph.node("Mul", &[&styles, &styles], &[]);
        let norm = graph.node(
            "Gemm",
            &[&styles, &squares, &epsilons],
            &[("transB", Attribute::Int(1))],
        );
        let norm = graph.node("Sqrt", &[&norm], &[]);
        let norm = self.per_channel(graph, &norm);
        x = graph.node("Div", &[&x, &norm], &[]);

        if self.config.use_noise {
            let strength = self.tensor(&format!("{name}.noise_strength"))?.to_f32();
            let strength = strength.first().copied().unwrap_or_default();
            let noise = self.tensor(&format!("{name}.noise_const"))?.to_f32();
            let noise: Vec<f32> = noise.iter().map(|v| v * strength).collect();
            let shape = [1, 1, resolution, resolution];
            let noise = graph.constant(&format!("{name}.noise"), &shape, &noise);
            x = graph.node("Add", &[&x, &noise], &[]);
        }
        let x = self.bias(graph, name, &x)?;
        Ok(self.activation(graph, &x, self.config.conv_clamp))
    }

    fn to_rgb(&self, graph: &mut Graph, name: &str, x: &str, w: &str) -> Result<String> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        let input = weight.shape.get(1).copied().unwrap_or(1);
        let affine = Dense {
            name: &format!("{name}.affine"),
            lr_multiplier: 1.0,
            gain: 1.0 / (input as f64).sqrt(),
        };
        let styles = self.dense(graph, w, &affine)?;
        let styles = self.per_channel(graph, &styles);
        let x = graph.node("Mul", &[x, &styles], &[]);
        let weight = graph.constant(&format!("{name}.weight"), &weight.shape, &weight.to_f32());
        let settings = Convolution {
            kernel: 1,
            stride: 1,
            pads: [0; 2],
            groups: 1,
        };
        let x = graph.node("Conv", &[&x, &weight], &settings.attributes());
        let x = self.bias(graph, name, &x)?;
        Ok(self.clamp(graph, &x, self.config.conv_clamp))
    }

    fn bias(&self, graph: &mut Graph, name: &str, x: &str) -> Result<String> {
        let bias = self.tensor(&format!("{name}.bias"))?.to_f32();
        let bias = graph.constant(&format!("{name}.bias"), &[1, bias.len(), 1, 1], &bias);
        Ok(graph.node("Add", &[x, &bias], &[]))
    }

    /// The two-dimensional resampling filter with gain 4, which upsampling by 2 needs; `[taps, taps]`, row-major.
    fn filter(&self) -> Vec<f32> {
        let taps = &self.config.resample_filter;
        let sum: f64 = taps.iter().sum();
        let scale = 4.0 / (sum * sum);
        taps.iter()
            .flat_map(|a| taps.iter().map(move |b| (a * b * scale) as f32))
            .collect()
    }

    /// Adds a node that applies the resampling filter to the output of a transposed convolution of stride 2, whose
    /// kernel has the side `kernel`.
    fn blur(&self, graph: &mut Graph, x: &str, channels: usize, kernel: usize) -> Result<String> {
        let taps = self.config.resample_filter.len();
        let pad = kernel / 2;
        let before = (pad + taps / 2).checked_sub(kernel - 1);
        let after = (pad + (taps - 2) / 2).checked_sub(kernel - 2);
        let (Some(before), Some(after)) = (before, after) else {
            return Err(Error::Unsupported(format!(
                "a convolution of {kernel} after a filter of {taps} taps is not exported to ONNX"
            )));
        };
        // ONNX's Conv correlates, but the filter must be convolved: reverse it.
        let mut filter = self.filter();
        filter.reverse();
        let name = format!("blur_{channels}");
        let filter = graph.constant(&name, &[channels, 1, taps, taps], &filter.repeat(channels));
        let settings = Convolution {
            kernel: taps,
            stride: 1,
            pads: [before, after],
            groups: channels,
        };
        Ok(graph.node("Conv", &[x, &filter], &settings.attributes()))
    }

    /// Adds a node that upsamples an image by 2 with the resampling filter.
    fn upsample(&self, graph: &mut Graph, img: &str) -> String {
        let taps = self.config.resample_filter.len();
        let channels = self.config.img_channels;
        let before = taps - 1 - taps / 2;
        let after = taps - 2 - before;
        let filter = self.filter().repeat(channels);
        let filter = graph.constant("upsample", &[channels, 1, taps, taps], &filter);
        let settings = Convolution {
            kernel: taps,
            stride: 2,
            pads: [before, after],
            groups: channels,
        };
        graph.node("ConvTranspose", &[img, &filter], &settings.attributes())
    }
}
