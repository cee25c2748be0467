//! Loads batches without end on threads of its own, in an order that does not depend on these threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use crate::error::Error;
use crate::image_dataset::ImageDataset;
use crate::sampler::{InfiniteSampler, SamplerState};

/// Options of a loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Number of samples per batch.
    pub batch_size: usize,
    /// Seed of the order of the samples.
    pub seed: u32,
    /// Number of decoding threads.
    pub n_threads: usize,
    /// Number of batches that are decoded ahead of [`Loader::next_batch`], so that it rarely waits.
    pub n_prefetch: usize,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        let n_threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(3));
        Self {
            batch_size: 1,
            seed: 0,
            n_threads,
            n_prefetch: n_threads + 1,
        }
    }
}

/// A batch of samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Pixels, `[batch, channels, height, width]`.
    pub images: Vec<u8>,
    /// Label vectors, `[batch, label_dim]`.
    pub labels: Vec<f32>,
    /// Index of each sample in the [`ImageDataset`].
    pub indices: Vec<usize>,
}

/// Returns batches of a dataset, in the order of an [`InfiniteSampler`].
///
/// The same seed gives the same batches, whatever the number of threads. [`save`](Self::save) returns the position
/// after the last batch that [`next_batch`](Self::next_batch) returned, whatever is decoded ahead; a loader restored
/// from it returns the identical next batches.
#[derive(Debug)]
pub struct Loader {
    dataset: Arc<ImageDataset>,
    batch_size: usize,
    /// Position after the last batch that was requested from the threads.
    ahead: InfiniteSampler,
    /// Position after the last batch that was returned.
    given: InfiniteSampler,
    pending: VecDeque<mpsc::Receiver<Result<Batch, Error>>>,
    n_prefetch: usize,
    workers: Workers,
}

impl Loader {
    /// Starts the decoding threads at the beginning of the order.
    ///
    /// # Errors
    /// When a thread cannot be started.
    ///
    /// # Panics
    /// When the batch size is 0.
    pub fn new(dataset: Arc<ImageDataset>, options: &LoaderOptions) -> Result<Self, Error> {
        let sampler = InfiniteSampler::new(dataset.len(), options.seed);
        Self::start(dataset, options, sampler)
    }

    /// Starts the decoding threads at a saved position; [`LoaderOptions::seed`] is not used.
    ///
    /// # Errors
    /// When the position is damaged or belongs to a dataset of another size, or a thread cannot be started.
    pub fn restore(
        dataset: Arc<ImageDataset>,
        options: &LoaderOptions,
        saved: &SamplerState,
    ) -> Result<Self, Error> {
        let sampler = InfiniteSampler::restore(saved)
            .ok_or_else(|| Error::BadState("it is damaged".to_owned()))?;
        if sampler.n_samples() != dataset.len() {
            return Err(Error::BadState(format!(
                "it was saved with {} samples, '{}' gives {}; use the same --data, --subset and --mirror",
                sampler.n_samples(),
                dataset.source().path().display(),
                dataset.len(),
            )));
        }
        Self::start(dataset, options, sampler)
    }

    fn start(
        dataset: Arc<ImageDataset>,
        options: &LoaderOptions,
        sampler: InfiniteSampler,
    ) -> Result<Self, Error> {
        assert!(options.batch_size > 0, "Loader: a batch of 0 samples");
        let mut loader = Self {
            workers: Workers::start(&dataset, options.n_threads.max(1))?,
            dataset,
            batch_size: options.batch_size,
            ahead: sampler.clone(),
            given: sampler,
            pending: VecDeque::new(),
            n_prefetch: options.n_prefetch.max(1),
        };
        loader.ask_ahead()?;
        Ok(loader)
    }

    /// Returns the next batch; waits when it is not decoded yet.
    ///
    /// # Errors
    /// When a sample of the batch cannot be read. The position does not change: the next call tries the same batch
    /// again.
    pub fn next_batch(&mut self) -> Result<Batch, Error> {
        self.ask_ahead()?;
        let batch = match self.pending.pop_front().map(|reply| reply.recv()) {
            Some(Ok(Ok(batch))) => batch,
            Some(Ok(Err(error))) => {
                // Discard the batches that were read ahead: they come after one that was not returned.
                self.pending.clear();
                self.ahead = self.given.clone();
                return Err(error);
            }
            _ => return Err(Error::Loader("a decoding thread is gone".to_owned())),
        };
        self.given.by_ref().take(self.batch_size).for_each(drop);
        self.ask_ahead()?;
        Ok(batch)
    }

    /// The position after the last returned batch, for [`restore`](Self::restore).
    pub fn save(&self) -> SamplerState {
        self.given.save()
    }

    /// The dataset that the loader reads.
    pub fn dataset(&self) -> &Arc<ImageDataset> {
        &self.dataset
    }

    /// Number of samples per batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    fn ask_ahead(&mut self) -> Result<(), Error> {
        while self.pending.len() < self.n_prefetch {
            let indices = self.ahead.by_ref().take(self.batch_size).collect();
            let (reply, receiver) = mpsc::sync_channel(1);
            self.workers.ask(Job { indices, reply })?;
            self.pending.push_back(receiver);
        }
        Ok(())
    }
}

struct Job {
    indices: Vec<usize>,
    reply: mpsc::SyncSender<Result<Batch, Error>>,
}

#[derive(Debug)]
struct Workers {
    jobs: Option<mpsc::Sender<Job>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    fn start(dataset: &Arc<ImageDataset>, n_threads: usize) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut workers = Self {
            jobs: Some(sender),
            stop: Arc::default(),
            threads: Vec::new(),
        };
        for i in 0..n_threads {
            let (dataset, jobs, stop) = (dataset.clone(), receiver.clone(), workers.stop.clone());
            let thread = std::thread::Builder::new()
                .name(format!("loader-{i}"))
                .spawn(move || {
                    loop {
                        // A poisoned lock means that another worker panicked; `next_batch` reports it.
                        let Ok(Ok(job)) = jobs.lock().map(|jobs| jobs.recv()) else {
                            return;
                        };
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        // Sending fails only when the loader no longer waits for this batch.
                        let _ = job.reply.send(read_batch(&dataset, job.indices));
                    }
                })
                .map_err(|e| Error::Loader(format!("cannot start a thread: {e}")))?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    fn ask(&self, job: Job) -> Result<(), Error> {
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job).is_ok());
        let gone = || Error::Loader("the decoding threads are gone".to_owned());
        sent.then_some(()).ok_or_else(gone)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn read_batch(dataset: &ImageDataset, indices: Vec<usize>) -> Result<Batch, Error> {
    let sample_len = dataset.shape().iter().product::<usize>();
    let mut images = vec![0; indices.len() * sample_len];
    let mut labels = Vec::with_capacity(indices.len() * dataset.label_dim());
    for (&idx, out) in indices.iter().zip(images.chunks_exact_mut(sample_len)) {
        dataset.image(idx)?.write_chw(out);
        labels.extend_from_slice(&dataset.label(idx));
    }
    Ok(Batch {
        images,
        labels,
        indices,
    })
}
