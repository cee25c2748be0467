//! The trait [`Op`], which each op implements with its CPU kernels, its GPU work and its gradients, and [`apply`],
//! which runs an op as a custom op of candle. [`crate::Value`] records the same ops in its own graph.

#[cfg(test)]
pub(crate) mod executor;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType,
    backend::BackendStorage, bail,
};
use half::{bf16, f16};

#[cfg(feature = "cuda")]
use crate::cuda::execute::execute;
#[cfg(any(feature = "cuda", test))]
use crate::cuda::plan::Plan;

/// An op on `N` contiguous tensors of the same number type. For f16 and bf16 on the CPU, the inputs are converted to
/// f32, and the result is converted back.
///
/// Gradients are composed of ops again, so they can be differentiated in turn.
pub(crate) trait Op<const N: usize>: Clone + Send + Sync + 'static {
    /// The name of the op in error messages.
    const NAME: &'static str;

    /// The shape of the result; an error when the shapes of the inputs do not fit.
    fn shape(&self, inputs: [&Shape; N]) -> Result<Shape>;

    /// Computes the result in f32 on the CPU.
    fn run_f32(&self, inputs: [&[f32]; N], shapes: [&Shape; N]) -> Vec<f32>;

    /// Computes the result in f64 on the CPU.
    fn run_f64(&self, inputs: [&[f64]; N], shapes: [&Shape; N]) -> Vec<f64>;

    /// The GPU work that computes the result.
    #[cfg(any(feature = "cuda", test))]
    fn plan(&self, inputs: [&Tensor; N]) -> Result<Plan>;

    /// The gradients with respect to the `wanted` inputs, for the gradient `dy` of the result; `None` means zero.
    fn gradients(
        &self,
        inputs: [&Tensor; N],
        dy: &Tensor,
        wanted: [bool; N],
    ) -> Result<[Option<Tensor>; N]>;
}

/// Applies an op to tensors. Where an input tracks gradients, the result is part of candle's graph.
pub(crate) fn apply<const N: usize, O: Op<N>>(inputs: [&Tensor; N], op: O) -> Result<Tensor>
where
    CandleOp<O>: Arity<N>,
{
    #[cfg(test)]
    if let Some(y) = executor::execute(inputs, &op) {
        return y;
    }
    #[cfg(feature = "cuda")]
    if inputs.iter().any(|input| input.device().is_cuda()) {
        let contiguous = inputs.map(Tensor::contiguous);
        let contiguous = contiguous.into_iter().collect::<Result<Vec<_>>>()?;
        let contiguous: [Tensor; N] = contiguous.try_into().expect("as many as there were");
        return match op.plan(contiguous.each_ref())? {
            Plan::Composed(y) => Ok(y),
            plan => CandleOp {
                op,
                plan: Some(plan),
            }
            .apply_to(contiguous.each_ref()),
        };
    }
    CandleOp {
        op,
        #[cfg(feature = "cuda")]
        plan: None,
    }
    .apply_to(inputs)
}

/// An op wrapped as a custom op of candle.
pub(crate) struct CandleOp<O> {
    op: O,
    /// The GPU work, when the inputs are on a GPU.
    #[cfg(feature = "cuda")]
    plan: Option<Plan>,
}

/// Applies an op to `N` tensors through candle's custom op of that arity.
pub(crate) trait Arity<const N: usize> {
    fn apply_to(self, inputs: [&Tensor; N]) -> Result<Tensor>;
}

impl<O: Op<1>> Arity<1> for CandleOp<O> {
    fn apply_to(self, [a]: [&Tensor; 1]) -> Result<Tensor> {
        a.contiguous()?.apply_op1(self)
    }
}

impl<O: Op<2>> Arity<2> for CandleOp<O> {
    fn apply_to(self, [a, b]: [&Tensor; 2]) -> Result<Tensor> {
        a.contiguous()?.apply_op2(&b.contiguous()?, self)
    }
}

impl<O: Op<3>> Arity<3> for CandleOp<O> {
    fn apply_to(self, [a, b, c]: [&Tensor; 3]) -> Result<Tensor> {
        a.contiguous()?
            .apply_op3(&b.contiguous()?, &c.contiguous()?, self)
    }
}

/// Runs the CPU kernel for the number type of the inputs.
fn run<const N: usize, O: Op<N>>(
    op: &O,
    storages: [&CpuStorage; N],
    layouts: [&Layout; N],
) -> Result<(CpuStorage, Shape)> {
    let name = O::NAME;
    let mut ranges = [(0, 0); N];
    for (range, layout) in ranges.iter_mut().zip(layouts) {
        let Some(offsets) = layout.contiguous_offsets() else {
            bail!(
                "{name}: the tensor is not contiguous (shape {:?}, strides {:?})",
                layout.shape(),
                layout.stride()
            );
        };
        *range = offsets;
    }
    let shapes = layouts.map(Layout::shape);
    let singles = slices(storages, ranges, |storage| match storage {
        CpuStorage::F32(values) => Some(values),
        _ => None,
    });
    if let Some(inputs) = singles {
        let y = op.run_f32(inputs, shapes);
        return Ok((CpuStorage::F32(y), op.shape(shapes)?));
    }
    let doubles = slices(storages, ranges, |storage| match storage {
        CpuStorage::F64(values) => Some(values),
        _ => None,
    });
    if let Some(inputs) = doubles {
        let y = op.run_f64(inputs, shapes);
        return Ok((CpuStorage::F64(y), op.shape(shapes)?));
    }
    let halves = slices(storages, ranges, |storage| match storage {
        CpuStorage::F16(values) => Some(values),
        _ => None,
    });
    if let Some(inputs) = halves {
        let y: Vec<f16> = run_in_f32(op, inputs, shapes);
        return Ok((CpuStorage::F16(y), op.shape(shapes)?));
    }
    let bfloats = slices(storages, ranges, |storage| match storage {
        CpuStorage::BF16(values) => Some(values),
        _ => None,
    });
    if let Some(inputs) = bfloats {
        let y: Vec<bf16> = run_in_f32(op, inputs, shapes);
        return Ok((CpuStorage::BF16(y), op.shape(shapes)?));
    }
    bail!(
        "{name}: the number types {:?} are not one of f32, f64, f16 and bf16",
        storages.map(BackendStorage::dtype)
    )
}

/// Runs an op on half-precision inputs as GPUs do: computed in f32, and the result rounded once.
fn run_in_f32<const N: usize, O: Op<N>, T: WithDType>(
    op: &O,
    inputs: [&[T]; N],
    shapes: [&Shape; N],
) -> Vec<T> {
    let singles = inputs.map(|v| v.iter().map(|v| v.to_f64() as f32).collect::<Vec<_>>());
    let y = op.run_f32(singles.each_ref().map(Vec::as_slice), shapes);
    y.into_iter().map(|v| T::from_f64(f64::from(v))).collect()
}

/// Returns, for each storage, the part given by its entry in `ranges` (start, end). `of_type` returns the values of a
/// storage, or `None` for a storage of another number type; then the result is `None`.
fn slices<'a, const N: usize, T>(
    storages: [&'a CpuStorage; N],
    ranges: [(usize, usize); N],
    of_type: impl Fn(&'a CpuStorage) -> Option<&'a Vec<T>>,
) -> Option<[&'a [T]; N]> {
    let slices = storages.into_iter().zip(ranges);
    let slices: Option<Vec<&[T]>> = slices
        .map(|(storage, (start, end))| Some(&of_type(storage)?[start..end]))
        .collect();
    slices?.try_into().ok()
}

impl<O: Op<1>> CustomOp1 for CandleOp<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        run(&self.op, [s], [l])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, s: &CudaStorage, l: &Layout) -> Result<(CudaStorage, Shape)> {
        let shape = self.op.shape([l.shape()])?;
        execute(O::NAME, self.plan.as_ref(), &[(s, l)], shape)
    }

    fn bwd(&self, a: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let [da] = self.op.gradients([a], &dy.contiguous()?, [true])?;
        Ok(da)
    }
}

impl<O: Op<2>> CustomOp2 for CandleOp<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        run(&self.op, [s1, s2], [l1, l2])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let shape = self.op.shape([l1.shape(), l2.shape()])?;
        execute(O::NAME, self.plan.as_ref(), &[(s1, l1), (s2, l2)], shape)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = [a, b].map(Tensor::track_op);
        let [da, db] = self.op.gradients([a, b], &dy.contiguous()?, wanted)?;
        Ok((da, db))
    }
}

impl<O: Op<3>> CustomOp3 for CandleOp<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        run(&self.op, [s1, s2, s3], [l1, l2, l3])
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let shape = self.op.shape([l1.shape(), l2.shape(), l3.shape()])?;
        let inputs = [(s1, l1), (s2, l2), (s3, l3)];
        execute(O::NAME, self.plan.as_ref(), &inputs, shape)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = [a, b, c].map(Tensor::track_op);
        let [da, db, dc] = self.op.gradients([a, b, c], &dy.contiguous()?, wanted)?;
        Ok((da, db, dc))
    }
}
