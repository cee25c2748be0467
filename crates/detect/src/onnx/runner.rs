//! Loads and runs a checked graph with the rten runtime, on one thread.

use std::sync::{Arc, Mutex};

use rten::{ModelOptions, NodeId, RunOptions, ShapeInferenceMode, ThreadPool, Value};

use super::encode::encode;
use super::graph::{Argument, Dimension, Model};
use super::operators;
use super::program::Program;

/// Largest width and height of a model's input, in pixels.
pub(crate) const MAX_SIDE: u32 = 4096;

/// Width and height of the blank image on which a model without a fixed input size is run at loading.
pub(super) const PROBE_SIDE: u32 = 128;
/// Stack size in bytes of the threads that load and run a model; the runtime traverses the graph recursively.
const STACK: usize = 64 << 20;

/// An output of a graph: f32 values in three dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    pub shape: [usize; 3],
    pub values: Vec<f32>,
}

pub(crate) struct Runner {
    model: rten::Model,
    program: Program,
    input: NodeId,
    outputs: Vec<NodeId>,
    class_names: Option<String>,
    /// Width and height of the input, if the graph accepts only one size.
    pub fixed_size: Option<(u32, u32)>,
    /// Thread pools of one thread each that no run is using.
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
    /// Reads and checks the bytes of an ONNX file; the graph must have one input, an image. The error describes the
    /// problem.
    pub fn load(bytes: Vec<u8>) -> Result<Self, String> {
        let mut graph = Model::read(&bytes).map_err(|what| cut_short(&bytes, what))?;
        let program = Program::new(&mut graph)?;
        let fixed_size = fixed_size(&graph.inputs[0])?;
        // The runtime computes constant parts of the graph at loading, so check the shapes before that.
        program.check(fixed_size.unwrap_or((PROBE_SIDE, PROBE_SIDE)))?;
        let (checked, class_names) = (encode(&graph), graph.class_names.take());
        drop(graph);
        drop(bytes);
        // On a separate thread, so that a panic or deep recursion of the runtime stays there.
        let load = || {
            let mut options = ModelOptions::with_ops(operators::registry());
            options
                .prepack_weights(true)
                // The runtime's own shape inference has no limits and is not needed: `Program` computes the shapes.
                .shape_inference(ShapeInferenceMode::Off)
                .load(checked)
                .map_err(|error| format!("is not a usable ONNX model: {error}"))
        };
        let model =
            apart(load).map_err(|message| format!("is not a usable ONNX model: {message}"))??;
        let &[input] = model.input_ids() else {
            return Err("is not a usable ONNX model: its input is lost".into());
        };
        let outputs = model.output_ids().to_vec();
        Ok(Self {
            model,
            program,
            input,
            outputs,
            class_names,
            fixed_size,
            idle: Mutex::default(),
        })
    }

    /// The class names that Ultralytics writes into the file, in the order of class indices; `None` without valid ones.
    pub fn class_names(&self) -> Option<Vec<String>> {
        // `{0: 'face', 1: 'body'}`
        let text = self.class_names.as_deref()?.trim();
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

    /// Runs the graph on the input `[1, 3, height, width]` and returns its outputs.
    ///
    /// An output that is not f32 with three dimensions is `None`. The error describes the problem.
    pub fn run(
        &self,
        values: Vec<f32>,
        (width, height): (u32, u32),
    ) -> Result<Vec<Option<Output>>, String> {
        self.program.check((width, height))?;
        let input = Value::from_shape([1, 3, height as usize, width as usize], values)
            .map_err(|e| e.to_string())?;
        let pool = self
            .idle
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .pop();
        let pool = pool.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        // The graph runs on a plain thread (see `apart`): a rayon worker that waits for a plain thread does not start
        // other images in the meantime, as it would while waiting for a thread pool.
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

/// Replaces the error `what` by a message about truncation when the file begins like an ONNX model (field 1, the
/// version of the format, at most 32) and ends early.
fn cut_short(bytes: &[u8], what: String) -> String {
    match matches!(bytes, [8, 1..=32, ..]) && what.ends_with("the file ends early") {
        true => format!(
            "is cut short: the file ends at byte {} in the middle of the model, fetch it again",
            bytes.len()
        ),
        false => what,
    }
}

/// Width and height from the input's shape `[1, 3, height, width]`; `None` when both are free or the shape is unknown.
///
/// The error says that the input is not an f32 image.
fn fixed_size(image: &Argument) -> Result<Option<(u32, u32)>, String> {
    // The runtime stores f16 (10) and f64 (11) as f32 (1); old files may omit the type (0).
    if !matches!(image.element, 0 | 1 | 10 | 11) {
        return Err("takes no 32-bit floats: export it with float32 input".into());
    }
    let Some(shape) = &image.dims else {
        return Ok(None);
    };
    let shown: Vec<String> = shape.iter().map(shown).collect();
    let wrong = || {
        format!(
            "takes an input of shape [{}] instead of [1, 3, height, width] of at most {MAX_SIDE} pixels",
            shown.join(", ")
        )
    };
    let [batch, channels, height, width] = &shape[..] else {
        return Err(wrong());
    };
    let allows = |dimension: &Dimension, size| !matches!(dimension, Dimension::Fixed(fixed) if *fixed != size);
    if !allows(batch, 1) || !allows(channels, 3) {
        return Err(wrong());
    }
    match (height, width) {
        (Dimension::Fixed(height), Dimension::Fixed(width)) => {
            let side = |side: &u64| {
                u32::try_from(*side)
                    .ok()
                    .filter(|side| (1..=MAX_SIDE).contains(side))
            };
            Ok(Some((
                side(width).ok_or_else(wrong)?,
                side(height).ok_or_else(wrong)?,
            )))
        }
        (Dimension::Free(_), Dimension::Free(_)) => Ok(None),
        _ => Err(wrong()),
    }
}

fn shown(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Fixed(size) => size.to_string(),
        Dimension::Free(name) => name.clone(),
    }
}

/// Runs `work` on a new thread with a large stack and waits for it; a panic becomes an error.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("onnx".into())
            .stack_size(STACK)
            .spawn_scoped(scope, work);
        let result = thread
            .map_err(|error| format!("no thread to run on: {error}"))?
            .join();
        result.map_err(|_| "the runtime gave up on this graph".to_owned())
    })
}
