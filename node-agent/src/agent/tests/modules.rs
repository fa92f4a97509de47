use faultline_core::{desired::Probe, report::ProbeState};

use super::rig::*;
use crate::kernel::FakeKernel;

fn of_module() -> Probe {
    let mut probe = probe("a", "pod");
    probe.call_chain.frames[0].function = "misc:own".into();
    probe
}

/// Lets that much time pass, a second at a time, with a lease all the while.
fn live(rig: &mut Rig, seconds: u32) {
    for _ in 0..seconds {
        rig.renew();
        rig.wait(SECOND);
    }
}

#[test]
fn a_chain_through_a_module_is_pending_until_the_module_is_loaded_however_late_that_is() {
    let mut rig = Rig::with(FakeKernel::new().without_function("misc:own"));
    rig.open();
    rig.desire(&set(1, &[of_module()]));
    let pending = ProbeState::Pending { reason: "module `misc` is not loaded".into() };
    assert_eq!(rig.last_ack().probes[0].state, pending);
    live(&mut rig, 200);
    let id = of_module().id;
    assert_eq!((rig.state_of(&id), rig.attached()), (pending, 0));
    *rig.kernel.lock() = FakeKernel::new();
    live(&mut rig, 6);
    assert_eq!((rig.state_of(&id), rig.attached()), (ProbeState::Attached, 1));
}

#[test]
fn a_module_that_goes_under_a_probe_is_noticed_and_so_is_its_return() {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(1, &[of_module()]));
    live(&mut rig, 200);
    let id = of_module().id;
    assert_eq!(rig.state_of(&id), ProbeState::Attached);
    for _ in 0..2 {
        *rig.kernel.lock() = FakeKernel::new().without_function("misc:own");
        live(&mut rig, 6);
        assert!(matches!(rig.state_of(&id), ProbeState::Pending { .. }), "{:?}", rig.state_of(&id));
        *rig.kernel.lock() = FakeKernel::new();
        live(&mut rig, 6);
        assert_eq!(rig.state_of(&id), ProbeState::Attached);
    }
}
