//! When a device has come to a point of its work.

use std::time::{Duration, Instant};

#[cfg(feature = "cuda")]
use candle_core::cuda_backend::{
    WrapErr,
    cudarc::driver::{CudaEvent, sys::CUevent_flags},
};
use candle_core::{Device, Result};

/// A point in a device's work. A card comes to it later than the host.
#[derive(Debug)]
pub struct Moment(Clock);

#[derive(Debug)]
enum Clock {
    Host(Instant),
    #[cfg(feature = "cuda")]
    Card(CudaEvent),
}

impl Moment {
    /// Behind everything that was asked of the device.
    ///
    /// # Errors
    /// What the driver says.
    pub fn now(device: &Device) -> Result<Moment> {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(card) = device {
            let with_time = Some(CUevent_flags::CU_EVENT_DEFAULT);
            let event = card.cuda_stream().record_event(with_time).w()?;
            return Ok(Moment(Clock::Card(event)));
        }
        let _ = device;
        Ok(Moment(Clock::Host(Instant::now())))
    }

    /// The time that passed on the device up to a later moment. Waits until the device has come there.
    ///
    /// # Errors
    /// What the driver says.
    pub fn until(&self, later: &Moment) -> Result<Duration> {
        Ok(match (&self.0, &later.0) {
            (Clock::Host(from), Clock::Host(to)) => to.duration_since(*from),
            #[cfg(feature = "cuda")]
            (Clock::Card(from), Clock::Card(to)) => {
                Duration::from_secs_f32(from.elapsed_ms(to).w()?.max(0.0) / 1e3)
            }
            #[cfg(feature = "cuda")]
            _ => candle_core::bail!("two moments of different devices"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times_pass(device: &Device) {
        let moments: Vec<Moment> = (0..3).map(|_| Moment::now(device).unwrap()).collect();
        let whole = moments[0].until(&moments[2]).unwrap();
        let part = moments[0].until(&moments[1]).unwrap();
        assert!(
            part <= whole + Duration::from_micros(1),
            "{part:?} of {whole:?}"
        );
    }

    #[test]
    fn later_moments_are_later() {
        times_pass(&Device::Cpu);
    }

    #[test]
    #[cfg(feature = "cuda")]
    fn later_moments_are_later_on_a_card() {
        match crate::device::DeviceName::Cuda(0).open() {
            Ok(card) => {
                times_pass(&card);
                let (a, b) = (
                    Moment::now(&card).unwrap(),
                    Moment::now(&Device::Cpu).unwrap(),
                );
                assert!(a.until(&b).is_err());
            }
            Err(error) => eprintln!("skipped, no card: {error}"),
        }
    }
}
