//! Timestamps in the work of a device, to measure GPU time without waiting at each step.

use std::time::{Duration, Instant};

#[cfg(feature = "cuda")]
use candle_core::cuda_backend::{
    WrapErr,
    cudarc::driver::{CudaEvent, sys::CUevent_flags},
};
use candle_core::{Device, Result};

/// A point between two pieces of work of a device, with the time at which the device reaches the point. The host
/// enqueues work in advance, so a GPU may reach the point only after [`DeviceEvent::record`] has returned.
#[derive(Debug)]
pub struct DeviceEvent(Event);

#[derive(Debug)]
enum Event {
    Host(Instant),
    #[cfg(feature = "cuda")]
    Gpu(CudaEvent),
}

impl DeviceEvent {
    /// Records an event after all work that was enqueued on the device so far.
    ///
    /// # Errors
    /// Errors of the CUDA driver.
    pub fn record(device: &Device) -> Result<DeviceEvent> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(gpu) = device {
            let with_time = Some(CUevent_flags::CU_EVENT_DEFAULT);
            let event = gpu.cuda_stream().record_event(with_time).w()?;
            return Ok(DeviceEvent(Event::Gpu(event)));
        }
        let _ = device;
        Ok(DeviceEvent(Event::Host(Instant::now())))
    }

    /// The time on the device from this event to a later one. Waits until the device has reached the later one.
    ///
    /// # Errors
    /// When the events belong to different devices; also errors of the CUDA driver.
    pub fn elapsed_until(&self, later: &DeviceEvent) -> Result<Duration> {
        Ok(match (&self.0, &later.0) {
            (Event::Host(from), Event::Host(to)) => to.duration_since(*from),
            #[cfg(feature = "cuda")]
            (Event::Gpu(from), Event::Gpu(to)) => {
                Duration::from_secs_f32(from.elapsed_ms(to).w()?.max(0.0) / 1e3)
            }
            #[cfg(feature = "cuda")]
            _ => candle_core::bail!("two events of different devices"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_ordered(device: &Device) {
        let events: Vec<DeviceEvent> = (0..3)
            .map(|_| DeviceEvent::record(device).unwrap())
            .collect();
        let whole = events[0].elapsed_until(&events[2]).unwrap();
        let part = events[0].elapsed_until(&events[1]).unwrap();
        assert!(
            part <= whole + Duration::from_micros(1),
            "{part:?} of {whole:?}"
        );
    }

    #[test]
    fn later_events_are_later() {
        assert_ordered(&Device::Cpu);
    }

    #[test]
    #[cfg(feature = "cuda")]
    #[ignore = "needs a GPU with CUDA"]
    fn later_events_are_later_on_a_gpu() {
        let gpu = crate::device::DeviceName::Cuda(0).open().unwrap();
        assert_ordered(&gpu);
        let on_gpu = DeviceEvent::record(&gpu).unwrap();
        let on_cpu = DeviceEvent::record(&Device::Cpu).unwrap();
        assert!(on_gpu.elapsed_until(&on_cpu).is_err());
    }
}
