//! Events of the driver API. When an event is recorded, all work before it has already been done.

use std::ffi::c_uint;
use std::time::Instant;

use crate::codes::{INVALID_HANDLE, SUCCESS, put};
use crate::counts;

/// CUDA_ERROR_NOT_READY, here the result when the time of an event that was not recorded is requested.
const NOT_READY: u32 = 600;
/// A number in each event by which valid handles are recognized.
const MARK: u64 = 0x6B61_6F67_616E_6576;

/// An event of the driver API: when it was recorded, and how many kernels had been launched by then.
pub struct Event {
    mark: u64,
    recorded: Option<(Instant, u64)>,
}

/// Calls `work` with the event if the handle is valid, else returns an error code.
///
/// # Safety
/// The handle must be null or from `cuEventCreate`.
pub(crate) unsafe fn on_event(event: *mut Event, work: impl FnOnce(&mut Event) -> u32) -> u32 {
    // SAFETY: the caller's promise.
    match unsafe { event.as_mut() } {
        Some(event) if event.mark == MARK => work(event),
        _ => INVALID_HANDLE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(event: *mut *mut Event, _flags: c_uint) -> u32 {
    let new = Event {
        mark: MARK,
        recorded: None,
    };
    put(event, Box::into_raw(Box::new(new)))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: *mut Event, _stream: usize) -> u32 {
    // SAFETY: handles are from `cuEventCreate`.
    unsafe {
        on_event(event, |event| {
            event.recorded = Some((Instant::now(), counts::launches()));
            SUCCESS
        })
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: *mut Event) -> u32 {
    // SAFETY: as above.
    unsafe {
        on_event(event, |event| {
            if let Some((_, launches)) = event.recorded {
                counts::host_waits_for(launches);
            }
            SUCCESS
        })
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: *mut Event) -> u32 {
    // SAFETY: as above.
    unsafe { on_event(event, |_| SUCCESS) }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime_v2(
    milliseconds: *mut f32,
    from: *mut Event,
    to: *mut Event,
) -> u32 {
    let time = |event: *mut Event| {
        let mut recorded = None;
        // SAFETY: as above.
        let found = unsafe {
            on_event(event, |event| {
                recorded = event.recorded;
                SUCCESS
            })
        };
        recorded.map(|(time, _)| time).ok_or(match found {
            SUCCESS => NOT_READY,
            error => error,
        })
    };
    match (time(from), time(to)) {
        (Ok(from), Ok(to)) => {
            let later = to.saturating_duration_since(from).as_secs_f32();
            put(milliseconds, later * 1e3)
        }
        (Err(error), _) | (_, Err(error)) => error,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: *mut Event) -> u32 {
    // SAFETY: as above; this is the last use of the handle.
    unsafe {
        on_event(event, |event| {
            event.mark = 0;
            drop(Box::from_raw(event));
            SUCCESS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_in_their_order_and_know_their_handles() {
        let mut events = [std::ptr::null_mut(); 2];
        let mut time = -1.0;
        for event in &mut events {
            assert_eq!(cuEventCreate(event, 0), SUCCESS);
        }
        assert_eq!(
            cuEventElapsedTime_v2(&mut time, events[0], events[1]),
            NOT_READY
        );
        for event in events {
            assert_eq!(cuEventRecord(event, 0), SUCCESS);
            assert_eq!(cuEventQuery(event), SUCCESS);
        }
        assert_eq!(
            cuEventElapsedTime_v2(&mut time, events[0], events[1]),
            SUCCESS
        );
        assert!(time >= 0.0);
        for event in events {
            assert_eq!(cuEventDestroy_v2(event), SUCCESS);
        }
        assert_eq!(cuEventRecord(std::ptr::null_mut(), 0), INVALID_HANDLE);
    }
}
