//! One graph, run by rten on one thread.

use std::sync::{Arc, Mutex};

use rten::{
    DataType, Dimension, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueType,
};

use super::wire;

/// Largest input side that is accepted.
pub(crate) const MAX_SIDE: u32 = 4096;

/// An output in three dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    pub shape: [usize; 3],
    pub values: Vec<f32>,
}

pub(crate) struct Runner {
    model: Model,
    input: NodeId,
    outputs: Vec<NodeId>,
    /// Width and height, when the graph takes only one.
    pub fixed_size: Option<(u32, u32)>,
    /// Pools of one thread that no run is using.
    idle: Mutex<Vec<Arc<ThreadPool>>>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("fixed_size", &self.fixed_size)
            .finish_non_exhaustive()
    }
}

impl Runner {
    /// Reads a graph with one picture as input; the error says what is wrong.
    pub fn load(bytes: Vec<u8>) -> Result<Self, String> {
        wire::check(&bytes)?;
        // On a thread of its own: what a broken file makes the reader do ends there.
        let load = || {
            let mut options = ModelOptions::with_all_ops();
            options
                .prepack_weights(true)
                .load(bytes)
                .map_err(|error| format!("is not a usable ONNX model: {error}"))
        };
        let model =
            apart(load).map_err(|message| format!("is not a usable ONNX model: {message}"))??;
        let &[input] = model.input_ids() else {
            return Err(format!(
                "has {} inputs: a face model has one, the picture",
                model.input_ids().len()
            ));
        };
        let outputs = model.output_ids().to_vec();
        if outputs.is_empty() {
            return Err("has no outputs".into());
        }
        let info = model.node_info(input);
        if info
            .as_ref()
            .and_then(|info| info.dtype())
            .is_some_and(|kind| kind != ValueType::Tensor(DataType::Float))
        {
            return Err("takes no 32-bit floats: export it with float32 input".into());
        }
        let fixed_size = match info.and_then(|info| info.shape()) {
            Some(shape) => fixed_size(&shape)?,
            None => None,
        };
        Ok(Self {
            model,
            input,
            outputs,
            fixed_size,
            idle: Mutex::default(),
        })
    }

    /// The class names that Ultralytics writes into the file, by index.
    pub fn class_names(&self) -> Option<Vec<String>> {
        // `{0: 'face', 1: 'body'}`
        let text = self.model.metadata().get("names")?.trim();
        let inside = text.strip_prefix('{')?.strip_suffix('}')?;
        inside
            .split(',')
            .map(|pair| {
                Some(
                    pair.split_once(':')?
                        .1
                        .trim()
                        .trim_matches(['\'', '"'])
                        .to_owned(),
                )
            })
            .collect()
    }

    /// Runs the graph on `[1, 3, height, width]`; outputs that are not f32 in three dimensions are `None`.
    pub fn run(
        &self,
        values: Vec<f32>,
        (width, height): (u32, u32),
    ) -> Result<Vec<Option<Output>>, String> {
        let input = Value::from_shape([1, 3, height as usize, width as usize], values)
            .map_err(|e| e.to_string())?;
        let pool = self
            .idle
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .pop();
        let pool = pool.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        // Waiting for a pool from a rayon worker would let that worker start other pictures in the meantime; waiting
        // for a plain thread does not.
        let run = || {
            self.model.run(
                vec![(self.input, input.into())],
                &self.outputs,
                Some(options),
            )
        };
        let outputs = apart(run)?.map_err(|error| error.to_string())?;
        self.idle
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(pool);
        let output = |value: Value| {
            let (shape, values) = value.into_shape_vec::<f32, 3>().ok()?;
            Some(Output { shape, values })
        };
        Ok(outputs.into_iter().map(output).collect())
    }
}

/// Width and height from the input shape `[1, 3, height, width]`.
fn fixed_size(shape: &[Dimension]) -> Result<Option<(u32, u32)>, String> {
    let shown: Vec<String> = shape.iter().map(shown).collect();
    let wrong = || {
        format!(
            "takes an input of shape [{}] instead of [1, 3, height, width]",
            shown.join(", ")
        )
    };
    let [batch, channels, height, width] = shape else {
        return Err(wrong());
    };
    let allows = |dimension: &Dimension, size| !matches!(dimension, Dimension::Fixed(fixed) if *fixed != size);
    if !allows(batch, 1) || !allows(channels, 3) {
        return Err(wrong());
    }
    match (height, width) {
        (Dimension::Fixed(height), Dimension::Fixed(width)) => {
            let side = |side: &usize| {
                u32::try_from(*side)
                    .ok()
                    .filter(|side| (1..=MAX_SIDE).contains(side))
            };
            Ok(Some((
                side(width).ok_or_else(wrong)?,
                side(height).ok_or_else(wrong)?,
            )))
        }
        (Dimension::Symbolic(_), Dimension::Symbolic(_)) => Ok(None),
        _ => Err(wrong()),
    }
}

fn shown(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Symbolic(name) => name.clone(),
    }
}

/// Runs `work` on a thread of its own and waits; a panic there becomes an error here.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("onnx".into())
            .spawn_scoped(scope, work);
        let result = thread
            .map_err(|error| format!("no thread to run on: {error}"))?
            .join();
        result.map_err(|_| "the runtime gave up on this graph".to_owned())
    })
}
