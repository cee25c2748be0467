//! A hook for tests, which executes ops by a function that the test supplies (the executor).
//!
//! While an executor is installed on a thread, [`super::apply`] passes the plan of every op on f32 tensors to the
//! executor, instead of running the CPU kernel.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::{DType, Result, Shape, Tensor};

use super::Op;
use crate::cuda::plan::Plan;

/// An op that the executor has to execute.
pub(crate) struct Request {
    /// The name of the op.
    pub name: &'static str,
    /// The inputs, contiguous and detached.
    pub inputs: Vec<Tensor>,
    /// The shape of the result.
    pub shape: Shape,
    pub plan: Plan,
}

type Executor = Rc<dyn Fn(Request) -> Result<Tensor>>;

thread_local! {
    static EXECUTOR: RefCell<Option<Executor>> = const { RefCell::new(None) };
}

/// Runs `work` with `executor` installed on this thread.
pub(crate) fn with_executor<T>(
    executor: impl Fn(Request) -> Result<Tensor> + 'static,
    work: impl FnOnce() -> T,
) -> T {
    EXECUTOR.set(Some(Rc::new(executor)));
    let result = work();
    EXECUTOR.set(None);
    result
}

/// The result of an op from the installed executor; `None` when none is installed or an input is not f32.
pub(super) fn execute<const N: usize, O: Op<N>>(
    inputs: [&Tensor; N],
    op: &O,
) -> Option<Result<Tensor>> {
    let executor = EXECUTOR.with_borrow(Clone::clone)?;
    let is_f32 = |t: &&Tensor| t.dtype() == DType::F32;
    inputs
        .iter()
        .all(is_f32)
        .then(|| request(inputs, op).and_then(|request| executor(request)))
}

fn request<const N: usize, O: Op<N>>(inputs: [&Tensor; N], op: &O) -> Result<Request> {
    let contiguous = inputs.map(|input| input.contiguous().expect("on the CPU").detach());
    let shape = op.shape(contiguous.each_ref().map(Tensor::shape))?;
    let plan = op.plan(contiguous.each_ref())?;
    Ok(Request {
        name: O::NAME,
        inputs: contiguous.into(),
        shape,
        plan,
    })
}
