//! Golden suite `networks`: outputs of networks with stored weights, tables of parameters, and resolved presets.
//!
//! The keys of a JSON file tell what it holds. `G_kwargs`: a generator and a discriminator, with weights, inputs and
//! outputs in the safetensors file of the same name. `configs`: training options. Names with `G.params`: tables.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Tensor, Var};
use networks::{
    Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, MappingOptions, NoiseMode,
    Precision, SynthesisOptions, TensorKind, TensorSpec,
};
use ops::Dual;
use rng::RandomState;
use serde_json::Value;

use super::case::Case;
use super::files::json_files;
use super::tensors::{Tensors, device, numbers_in, relative_error};
use super::train_configs;
use super::{CaseResult, Results};

/// Runs every case of every file in `dir`.
///
/// # Errors
/// When a file cannot be read or has an unexpected structure.
pub fn run(dir: &Path, results: &mut Results) -> Result<()> {
    for (path, root) in json_files(dir)? {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let cases = if root.get("G_kwargs").is_some() {
            Tensors::beside(&path)?
                .context("no safetensors file beside it")
                .and_then(|tensors| Pair::new(&root, tensors)?.run())
                .with_context(|| name.clone())?
        } else if root.get("configs").is_some() || root.get("auto_formula_table").is_some() {
            train_configs::run(&root).with_context(|| name.clone())?
        } else if is_table(&root) {
            tables(&root)?
        } else {
            continue;
        };
        results.extend(cases.into_iter().map(|case| CaseResult {
            suite: "networks".to_owned(),
            case: format!("{name}.{}", case.name),
            worst: case.worst,
            tolerance: case.tolerance,
        }));
    }
    Ok(())
}

/// The relative size of the perturbations that reveal kinks: the rounding error of f32 through a network.
const KINK_MOVE: f64 = 1e-6;

/// The number of these perturbations.
const KINK_DRAWS: usize = 8;

/// A generator and a discriminator, with their stored inputs and outputs.
struct Pair<'a> {
    root: &'a Value,
    tensors: Tensors,
    g: Generator,
    d: Discriminator,
    /// The tolerances of `w` and of everything else, relative to the largest value of a tensor.
    tolerances: (f64, f64),
    cases: Vec<Case>,
}

impl<'a> Pair<'a> {
    fn new(root: &'a Value, tensors: Tensors) -> Result<Self> {
        let weights = |prefix: &str| {
            let named = tensors.names_after(prefix).into_iter();
            named
                .map(|name| {
                    let tensor = tensors.need(&format!("{prefix}{name}"))?;
                    Ok((name.to_owned(), tensor.clone()))
                })
                .collect::<Result<Vec<_>>>()
        };
        let g = Generator::from_tensors(
            &GeneratorConfig::from_kwargs(&root["G_kwargs"])?,
            weights("G.")?,
            DType::F32,
            device(),
        )?
        .with_precision(Precision::Full);
        let d = Discriminator::from_tensors(
            &DiscriminatorConfig::from_kwargs(&root["D_kwargs"])?,
            weights("D.")?,
            DType::F32,
            device(),
        )?
        .with_precision(Precision::Full);
        let text = root["tolerance"].as_str().unwrap_or_default();
        let tolerances = (
            tolerance_of(text, "ws").unwrap_or(1e-5),
            tolerance_of(text, "images").unwrap_or(1e-4),
        );
        Ok(Self {
            root,
            tensors,
            g,
            d,
            tolerances,
            cases: Vec::new(),
        })
    }

    fn run(mut self) -> Result<Vec<Case>> {
        self.structure()?;
        self.mapping()?;
        self.images()?;
        self.logits()?;
        self.intermediates()?;
        self.gradients()?;
        self.tracking()?;
        Ok(self.cases)
    }

    /// Compares names, shapes, kinds and order of the tensors, and the number of `ws`.
    fn structure(&mut self) -> Result<()> {
        for (key, slots) in [
            ("G_tensors", Generator::layout(self.g.config())?),
            ("D_tensors", Discriminator::layout(self.d.config())?),
        ] {
            if let Some(expected) = self.root[key].as_array() {
                let ours = listing(&slots);
                let expected: Vec<_> = expected
                    .iter()
                    .map(|t| {
                        let is_param = t["kind"] == "param";
                        (t["name"].clone(), t["shape"].clone(), is_param)
                    })
                    .collect();
                self.cases
                    .push(Case::exact(key, differing(&ours, &expected)));
            }
        }
        if let Some(num_ws) = self.root["num_ws"].as_u64() {
            let differs = self.g.config().num_ws() as u64 != num_ws;
            self.cases.push(Case::exact("num_ws", differs.into()));
        }
        Ok(())
    }

    /// Compares `w`, and `ws` for every stored truncation.
    fn mapping(&mut self) -> Result<()> {
        let z = Dual::from(self.tensor("z")?);
        let w = self.g.mapping.w(Some(&z), self.labels(&z)?.as_ref())?;
        self.compare("w", w.primal.tensor())?;
        for name in self.names("ws") {
            if let Some(options) = truncation(name.strip_prefix("ws").unwrap_or_default()) {
                let ws = self.ws(&options)?;
                self.compare(&name, &ws)?;
            }
        }
        Ok(())
    }

    /// Compares images for every stored noise mode and truncation.
    fn images(&mut self) -> Result<()> {
        for name in self.names("img_") {
            let rest = name.trim_start_matches("img_");
            let ws = match rest {
                "ws_random" => self.tensor("ws_random")?,
                _ => {
                    let mode = ["const_unfused", "none_unfused", "const", "none"];
                    let mode = mode.into_iter().find(|mode| rest.starts_with(mode));
                    let Some(options) = mode.and_then(|mode| truncation(&rest[mode.len()..]))
                    else {
                        continue;
                    };
                    self.ws(&options)?
                }
            };
            let noise = if rest.starts_with("none") {
                NoiseMode::None
            } else {
                NoiseMode::Const
            };
            let img = self.g.synthesis.forward(&ws, SynthesisOptions { noise })?;
            self.compare(&name, &img)?;
        }
        Ok(())
    }

    fn logits(&mut self) -> Result<()> {
        for name in self.names("D_logits") {
            let img = match name.as_str() {
                "D_logits_on_G" => self.tensor("img_const")?,
                _ => self.tensor("D_in")?,
            };
            let batch = match name.strip_prefix("D_logits_batch") {
                Some(count) => count.parse()?,
                None => img.dim(0)?,
            };
            let img = img.narrow(0, 0, batch)?.contiguous()?;
            let c = self.labels(&img.clone().into())?;
            let logits = self.d.forward(&img, c.as_ref())?;
            self.compare(&name, &logits)?;
        }
        Ok(())
    }

    /// Compares the outputs of single blocks. The golden data hold them for the first samples of the batch only.
    fn intermediates(&mut self) -> Result<()> {
        let mut seen: Vec<(String, Tensor)> = Vec::new();
        let ws = self.ws(&MappingOptions::default())?;
        self.g.synthesis.forward_observed(
            &ws.into(),
            SynthesisOptions::default(),
            &mut |name, value| {
                seen.push((format!("inter.G.{name}"), value.primal.tensor().clone()));
            },
        )?;
        let img = Dual::from(self.tensor("D_in")?);
        let c = self.labels(&img)?;
        self.d
            .forward_observed(&img, c.as_ref(), &mut |name, value| {
                seen.push((format!("inter.D.{name}"), value.primal.tensor().clone()));
            })?;
        for name in self.names("inter.") {
            let (_, value) = seen
                .iter()
                .find(|(ours, _)| *ours == name)
                .with_context(|| format!("no value is called {name} here"))?;
            let count = self.tensor(&name)?.dim(0)?;
            let value = value.narrow(0, 0, count)?;
            self.compare(&name, &value)?;
        }
        Ok(())
    }

    /// Compares gradients with respect to images and latents.
    ///
    /// Gradients jump where rounding changes the sign of an activation. To allow for that, the tolerance is at least
    /// twice the largest change of our gradient when the input is perturbed by as little as rounding.
    fn gradients(&mut self) -> Result<()> {
        let of_d = |pair: &Self, img: &Tensor| -> Result<Tensor> {
            let img = Var::from_tensor(img)?;
            let c = pair.labels(&img.as_tensor().into())?;
            let logits = pair.d.forward_dual(&img.as_tensor().into(), c.as_ref())?;
            let mut grads = logits.primal.sum_all()?.backward()?;
            grads.remove(&img).context("no gradient reaches the image")
        };
        self.gradient("grad_img_of_sum_D", "D_in", of_d)?;
        let of_both = |pair: &Self, z: &Tensor| -> Result<Tensor> {
            let z = Var::from_tensor(z)?;
            let c = pair.labels(&z.as_tensor().into())?;
            let options = MappingOptions::default();
            let ws = pair
                .g
                .mapping
                .forward_dual(&z.as_tensor().into(), c.as_ref(), &options)?;
            let img = pair
                .g
                .synthesis
                .forward_dual(&ws, SynthesisOptions::default())?;
            let logits = pair.d.forward_dual(&img, c.as_ref())?;
            let mut grads = logits.primal.sum_all()?.backward()?;
            grads.remove(&z).context("no gradient reaches z")
        };
        self.gradient("grad_z_of_sum_D_G", "z", of_both)
    }

    fn gradient(
        &mut self,
        name: &str,
        input: &str,
        gradient: impl Fn(&Self, &Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        if self.tensors.get(name).is_none() {
            return Ok(());
        }
        let x = self.tensor(input)?;
        let ours = gradient(self, &x)?;
        self.compare(name, &ours)?;
        let mut random = RandomState::new(0);
        let mut jump = 0f64;
        for _ in 0..KINK_DRAWS {
            let moves: Vec<f32> = random
                .randn(x.elem_count())
                .into_iter()
                .map(|v| (v * KINK_MOVE) as f32)
                .collect();
            let moved = (&x + (&x * Tensor::from_vec(moves, x.shape(), x.device())?)?)?;
            jump = jump.max(relative_error(&gradient(self, &moved)?, &ours)?);
        }
        if let Some(case) = self.cases.last_mut() {
            case.tolerance = case.tolerance.max(2.0 * jump);
        }
        Ok(())
    }

    /// Compares the moving average of `w` after one forward pass in training.
    fn tracking(&mut self) -> Result<()> {
        let name = "w_avg_after_train_forward";
        if self.tensors.get(name).is_some() {
            let options = MappingOptions {
                update_w_avg: true,
                ..Default::default()
            };
            self.ws(&options)?;
            let w_avg = self.g.mapping.w_avg().context("no w_avg is tracked")?;
            self.compare(name, &w_avg)?;
        }
        Ok(())
    }

    fn ws(&self, options: &MappingOptions) -> Result<Tensor> {
        let z = self.tensor("z")?;
        let c = self.labels(&(&z).into())?;
        Ok(self.g.mapping.forward(&z, c.as_ref(), options)?)
    }

    /// The first stored labels, as many as `x` has samples; `None` for unconditional networks.
    fn labels(&self, x: &Dual) -> Result<Option<Tensor>> {
        if self.g.config().c_dim == 0 {
            return Ok(None);
        }
        let count = x.primal.dim(0)?;
        Ok(Some(self.tensor("c")?.narrow(0, 0, count)?.contiguous()?))
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        self.tensors.need(name).cloned()
    }

    /// The names of all tensors that start with `prefix`, sorted.
    fn names(&self, prefix: &str) -> Vec<String> {
        let rests = self.tensors.names_after(prefix).into_iter();
        rests.map(|rest| format!("{prefix}{rest}")).collect()
    }

    /// Compares a tensor with the stored one: the largest difference, relative to the largest stored value.
    fn compare(&mut self, name: &str, ours: &Tensor) -> Result<()> {
        let worst =
            relative_error(ours, self.tensors.need(name)?).with_context(|| name.to_owned())?;
        let is_w = name.starts_with('w');
        self.cases.push(Case {
            name: name.to_owned(),
            worst,
            tolerance: if is_w {
                self.tolerances.0
            } else {
                self.tolerances.1
            },
        });
        Ok(())
    }
}

/// The options in a suffix: `""`, `_psi0.7` or `_psi0.7_cutoff3`.
fn truncation(text: &str) -> Option<MappingOptions> {
    let mut options = MappingOptions::default();
    if !text.is_empty() {
        let text = text.strip_prefix("_psi")?;
        let (psi, cutoff) = match text.split_once("_cutoff") {
            Some((psi, cutoff)) => (psi, Some(cutoff.parse().ok()?)),
            None => (text, None),
        };
        options.truncation_psi = psi.parse().ok()?;
        options.truncation_cutoff = cutoff;
    }
    Some(options)
}

/// The first number in the part of a text that names `subject`, e.g. `ws/w 1e-5 rel; images & logits: 1e-4 relative`.
fn tolerance_of(text: &str, subject: &str) -> Option<f64> {
    let part = text.split(';').find(|part| part.contains(subject))?;
    numbers_in(part).first().copied()
}

fn is_table(root: &Value) -> bool {
    root.as_object().is_some_and(|tables| {
        !tables.is_empty() && tables.values().all(|table| table["G"]["params"].is_array())
    })
}

/// Compares the parameters of presets with tables, which are named `<preset>_<resolution>`, e.g. `paper512_256`.
fn tables(root: &Value) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, table) in root.as_object().context("no tables")? {
        let (preset, resolution) = name
            .rsplit_once('_')
            .with_context(|| format!("'{name}' names no preset and resolution"))?;
        let extent = |network: &str, tensor: &str, axis: usize| {
            let params = table[network]["params"].as_array()?;
            let entry = params.iter().find(|entry| entry[0] == tensor)?;
            entry[1][axis].as_u64().map(|n| n as usize)
        };
        let config = train_configs::resolve(
            preset,
            resolution.parse()?,
            extent("G", "synthesis.b4.torgb.bias", 0).unwrap_or(3),
            extent("G", "mapping.embed.weight", 1).unwrap_or(0),
        )?;
        for (network, slots) in [
            ("G", Generator::layout(&config.generator)?),
            ("D", Discriminator::layout(&config.discriminator)?),
        ] {
            let table = &table[network];
            let mut wrong = 0;
            for (key, kept) in [("params", true), ("buffers", false)] {
                let ours: Vec<_> = listing(&slots)
                    .into_iter()
                    .filter(|(.., is_param)| *is_param == kept)
                    .collect();
                let expected: Vec<_> = entries(&table[key])
                    .map(|entry| (entry[0].clone(), entry[1].clone(), kept))
                    .collect();
                wrong += differing(&ours, &expected);
            }
            let order: Vec<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
            let expected: Vec<_> = entries(&table["state_dict_order"])
                .filter_map(Value::as_str)
                .collect();
            wrong += differing(&order, &expected);
            let sum = |is_param: bool| -> usize {
                slots
                    .iter()
                    .filter(|slot| (slot.kind == TensorKind::Trainable) == is_param)
                    .map(|slot| slot.shape.iter().product::<usize>())
                    .sum()
            };
            for (key, count) in [("num_params", sum(true)), ("num_buffer_elems", sum(false))] {
                wrong += usize::from(table[key].as_u64() != Some(count as u64));
            }
            cases.push(Case::exact(format!("{name}.{network}"), wrong));
        }
        let num_ws = config.generator.num_ws() as u64;
        let wrong = table["num_ws"].as_u64() != Some(num_ws);
        cases.push(Case::exact(format!("{name}.num_ws"), wrong.into()));
    }
    Ok(cases)
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Name, shape and whether it is a parameter for each tensor; parameters come first, then buffers.
fn listing(slots: &[TensorSpec]) -> Vec<(Value, Value, bool)> {
    let of = |is_param: bool| {
        slots
            .iter()
            .filter(move |slot| (slot.kind == TensorKind::Trainable) == is_param)
            .map(move |slot| {
                let shape = slot.shape.iter().map(|&n| n.into()).collect();
                (slot.name.as_str().into(), Value::Array(shape), is_param)
            })
    };
    of(true).chain(of(false)).collect()
}

/// The number of positions at which two lists differ.
fn differing<T: PartialEq>(ours: &[T], expected: &[T]) -> usize {
    let pairs = ours.iter().zip(expected).filter(|(a, b)| a != b).count();
    pairs + ours.len().abs_diff(expected.len())
}
