//! A graph whose operators and attributes are checked, for shape inference before each run.

use std::collections::HashMap;

use super::budget::Budget;
use super::defaults;
use super::graph::{Attribute, Model};
use super::infer::{Call, Kind, Shaped, elements};
use super::operators::{self, Operator};
use super::schedule::{Lifetimes, Node};

/// The nodes of a graph in topological order, with indices in place of tensor names.
pub(super) struct Program {
    steps: Vec<Step>,
    /// Shape and possibly values of each initializer; `None` for all other tensors, whose shapes [`Program::check`]
    /// computes in a copy.
    tensors: Vec<Option<Shaped>>,
    /// Index of the graph's input, the image.
    input: usize,
    outputs: Vec<usize>,
    lifetimes: Lifetimes,
}

struct Step {
    operator: &'static Operator,
    name: String,
    attributes: Vec<(String, Attribute)>,
    inputs: Vec<Option<usize>>,
    outputs: Vec<Option<usize>>,
}

/// The tensors of a graph, and their indices by name.
#[derive(Default)]
struct Places {
    by_name: HashMap<String, usize>,
    tensors: Vec<Option<Shaped>>,
}

impl Places {
    fn add(&mut self, name: &str, tensor: Option<Shaped>) -> Result<usize, String> {
        let place = self.tensors.len();
        if name.is_empty() || self.by_name.insert(name.to_owned(), place).is_some() {
            return Err(format!(
                "is damaged: the tensor {name:?} is made twice or has no name"
            ));
        }
        self.tensors.push(tensor);
        Ok(place)
    }
}

impl Program {
    /// Checks the operators, attributes and arguments of all nodes; the error describes the first problem.
    ///
    /// Changes the nodes of `model` to what the runtime expects: adds missing default attributes and removes those
    /// without effect.
    pub fn new(model: &mut Model<'_>) -> Result<Self, String> {
        let mut places = Places::default();
        for (name, tensor) in &model.tensors {
            let kind = if tensor.element.is_float() {
                Kind::Float
            } else {
                Kind::Int
            };
            let shaped = Shaped::new(tensor.dims.clone(), kind).with(tensor.values());
            places.add(name, Some(shaped))?;
        }
        let [image] = &model.inputs[..] else {
            return Err(format!(
                "has {} inputs: a face model has one, the image",
                model.inputs.len()
            ));
        };
        let input = places.add(&image.name, None)?;
        let mut steps = Vec::with_capacity(model.nodes.len());
        for node in &mut model.nodes {
            let operator = operators::check(node)?;
            defaults::fill(node, |name| {
                let place = places.by_name.get(name)?;
                Some(places.tensors[*place].as_ref()?.dims.clone())
            });
            let inputs = node.inputs.iter().map(|name| {
                if name.is_empty() {
                    return Ok(None);
                }
                let place = places.by_name.get(name).copied().map(Some);
                place.ok_or_else(|| {
                    format!(
                        "has a {} {} that takes {name:?}, which nothing before it makes",
                        node.operator, node.name
                    )
                })
            });
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            let mut outputs = Vec::with_capacity(node.outputs.len());
            for name in &node.outputs {
                outputs.push(match name.as_str() {
                    "" => None,
                    name => Some(places.add(name, None)?),
                });
            }
            steps.push(Step {
                operator,
                name: node.name.clone(),
                attributes: node.attributes.clone(),
                inputs,
                outputs,
            });
        }
        if model.outputs.is_empty() {
            return Err("has no outputs".into());
        }
        let mut outputs = Vec::with_capacity(model.outputs.len());
        for name in &model.outputs {
            let place = places.by_name.get(name).copied();
            let place = place.ok_or_else(|| format!("has an output {name} that nothing makes"))?;
            if outputs.contains(&place) {
                return Err(format!("has the output {name} twice"));
            }
            outputs.push(place);
        }
        let nodes = steps.iter().map(|step| Node {
            inputs: step.inputs.iter().copied().flatten().collect(),
            outputs: step.outputs.iter().copied().flatten().collect(),
            is_in_place: step.operator.is_in_place,
        });
        let given: Vec<bool> = places.tensors.iter().map(Option::is_some).collect();
        let lifetimes = Lifetimes::new(nodes.collect(), &given, input, &outputs);
        Ok(Self {
            steps,
            tensors: places.tensors,
            input,
            outputs,
            lifetimes,
        })
    }

    /// Computes all shapes for an input of this width and height, and returns those of the outputs.
    ///
    /// # Errors
    /// A message that names the invalid node, or the limit of `budget` that would be exceeded.
    pub fn check(&self, (width, height): (u32, u32)) -> Result<Vec<Vec<usize>>, String> {
        let image = vec![1, 3, height as usize, width as usize];
        elements(&image)?;
        let mut tensors = self.tensors.clone();
        tensors[self.input] = Some(Shaped::new(image, Kind::Float));
        let mut budget = Budget::new((width, height));
        let mut scratch = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let inputs: Vec<Option<&Shaped>> = step
                .inputs
                .iter()
                .map(|place| place.and_then(|place| tensors[place].as_ref()))
                .collect();
            let call = Call {
                operator: step.operator.name,
                inputs: &inputs,
                attributes: &step.attributes,
                n_outputs: step.outputs.len(),
            };
            let named = |message: String| {
                format!("has a {} {} that {message}", step.operator.name, step.name)
            };
            let outcome = (step.operator.infer)(&call).map_err(named)?;
            let made = outcome.outputs.iter().map(Shaped::len).sum();
            budget.spend(made, outcome.work).map_err(named)?;
            scratch.push(outcome.scratch);
            for (place, output) in step.outputs.iter().zip(outcome.outputs) {
                if let Some(place) = place {
                    tensors[*place] = Some(output);
                }
            }
        }
        let elements = |place: usize| tensors[place].as_ref().map_or(0, Shaped::len);
        budget.hold(4 * self.lifetimes.peak(elements, &scratch))?;
        let dims = |&place: &usize| tensors[place].as_ref().map(|shaped| shaped.dims.clone());
        Ok(self.outputs.iter().filter_map(dims).collect())
    }
}
