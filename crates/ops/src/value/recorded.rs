//! Records the ops of this crate in the graph of values.

use candle_core::{Result, Tensor};

use super::Value;
use crate::op::{Arity, CandleOp, Op, apply};

/// Applies an op to values and records it in their graph.
pub(crate) fn record<const N: usize, O: Op<N>>(inputs: [&Value; N], op: O) -> Result<Value>
where
    CandleOp<O>: Arity<N>,
{
    let tensors = inputs
        .map(|input| input.tensor().contiguous())
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let tensors: [Tensor; N] = tensors.try_into().expect("as many as there were inputs");
    let y = apply(tensors.each_ref(), op.clone())?;
    let tracked = inputs.map(Value::is_tracked);
    Value::record(&inputs, y, move |dy| {
        let grads = op.gradients(tensors.each_ref(), &dy.contiguous()?, tracked)?;
        Ok(grads.into())
    })
}
