//! Takes the keyboard and the pointer away from the desktop, and gives them back.
//!
//! Physical devices (those of the RDP connection) are floated: cut off from the cursor and the
//! keyboard focus that applications see, which lasts even if this process is killed. Everything is
//! grabbed besides: floated devices so that only we hear the cover's keys, masters against XTEST.

use x11rb::protocol::xinput::{
    ConnectionExt as _, DeviceClassData, DeviceType, GrabMode22, GrabOwner, GrabType, HierarchyChange,
    HierarchyChangeData, HierarchyChangeDataAttachSlave, HierarchyChangeDataDetachSlave, ModifierMask,
    XIDeviceInfo, XIEventMask,
};
use x11rb::protocol::xproto::{ConnectionExt as _, Cursor, GrabMode, GrabStatus, InputFocus, Window};

use crate::display::Display;
use crate::error::{BlankerError, if_there};

/// XIAllMasterDevices.
const ALL_MASTERS: u16 = 1;
/// XIAnyKeycode and XIAnyButton.
const ANY: u32 = 0;
/// More input devices than any session has.
const DEVICES_MAX: usize = 128;

/// What was found and done, to be undone.
#[derive(Default)]
pub(crate) struct Input {
    /// Floated devices and the masters they belong to.
    floated: Vec<(u16, u16)>,
    /// Who had the keyboard focus.
    focus: Option<Window>,
}

/// How much of the input is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// All physical devices.
    pub(crate) devices: bool,
    /// The masters too: no application holds a grab.
    pub(crate) masters: bool,
}

impl Input {
    /// Takes what can be taken. Harmless when repeated.
    pub(crate) fn take(&mut self, display: &Display, cursor: Cursor) -> Result<Taken, BlankerError> {
        let devices = list(display)?;
        let mut taken = Taken { devices: true, masters: true };
        let mut grabs = Vec::new();
        for device in &devices {
            let physical = is_physical(device);
            if physical && device.type_ != DeviceType::FLOATING_SLAVE {
                self.float(display, device)?;
            }
            if physical || is_master(device) {
                grabs.push((physical, grab(display, device, cursor)?));
            }
        }
        for (physical, cookie) in grabs {
            let ours = if_there(cookie.reply())?.is_some_and(|reply| reply.status == GrabStatus::SUCCESS);
            let kind = if physical { &mut taken.devices } else { &mut taken.masters };
            *kind &= ours;
        }
        Ok(taken)
    }

    /// Puts the keyboard focus where keys do nothing: what XTEST types goes there even if we are killed.
    pub(crate) fn take_focus(&mut self, display: &Display, ours: Window) -> Result<(), BlankerError> {
        let now = display.x.get_input_focus()?.reply()?.focus;
        if now == ours {
            return Ok(());
        }
        // None is where a killed predecessor's windows left it: keys would go nowhere.
        if now != x11rb::NONE && !display.is_ours(now) && self.focus.is_none() {
            self.focus = Some(now);
        }
        display.x.set_input_focus(InputFocus::NONE, ours, x11rb::CURRENT_TIME)?;
        Ok(())
    }

    /// Gives everything back, also what a killed predecessor had floated.
    pub(crate) fn give_back(&mut self, display: &Display) -> Result<(), BlankerError> {
        let x = &display.x;
        let devices = list(display)?;
        for device in &devices {
            if is_physical(device) || is_master(device) {
                x.xinput_xi_ungrab_device(x11rb::CURRENT_TIME, device.deviceid)?;
            }
        }
        for device in devices.iter().filter(|device| device.type_ == DeviceType::FLOATING_SLAVE) {
            let known = self.floated.iter().find(|(id, _)| *id == device.deviceid).map(|(_, master)| *master);
            for master in known.into_iter().chain(masters_for(device, &devices)) {
                if attach(display, device.deviceid, master)? {
                    break;
                }
            }
        }
        self.floated.clear();
        // First a focus that always works: the window that had it may be gone.
        x.set_input_focus(InputFocus::POINTER_ROOT, InputFocus::POINTER_ROOT, x11rb::CURRENT_TIME)?;
        if let Some(window) = self.focus.take() {
            x.set_input_focus(InputFocus::POINTER_ROOT, window, x11rb::CURRENT_TIME)?;
        }
        Ok(())
    }

    fn float(&mut self, display: &Display, device: &XIDeviceInfo) -> Result<(), BlankerError> {
        let deviceid = device.deviceid;
        let data = HierarchyChangeData::DetachSlave(HierarchyChangeDataDetachSlave { deviceid });
        display.x.xinput_xi_change_hierarchy(&[HierarchyChange { len: 2, data }])?;
        self.floated.retain(|(id, _)| *id != deviceid);
        self.floated.push((deviceid, device.attachment));
        Ok(())
    }
}

/// Asks for every key and click that nobody else has grabbed. Sleeps as long as another connection of
/// ours holds the masters, and wakes in the moment that one is gone: no key fits in between.
///
/// Grabs of XI2 do not collide with the core grabs that window managers have on the root. One that
/// a program of the session was faster with is left to it; then only the masters' grab is left.
pub(crate) fn stand_by(display: &Display) -> Result<(), BlankerError> {
    let events = u32::from(XIEventMask::KEY_PRESS) | u32::from(XIEventMask::BUTTON_PRESS);
    for kind in [GrabType::KEYCODE, GrabType::BUTTON] {
        // Not waited for: while the server is grabbed, an answer would not come.
        drop(display.x.xinput_xi_passive_grab_device(
            x11rb::CURRENT_TIME,
            display.root,
            x11rb::NONE,
            ANY,
            ALL_MASTERS,
            kind,
            GrabMode22::ASYNC,
            GrabMode::ASYNC,
            GrabOwner::NO_OWNER,
            &[events],
            &[ModifierMask::ANY.into()],
        )?);
    }
    Ok(())
}

/// Ends `stand_by`.
pub(crate) fn stand_down(display: &Display) -> Result<(), BlankerError> {
    for kind in [GrabType::KEYCODE, GrabType::BUTTON] {
        let modifiers = [ModifierMask::ANY.into()];
        display.x.xinput_xi_passive_ungrab_device(display.root, ANY, ALL_MASTERS, kind, &modifiers)?;
    }
    Ok(())
}

/// Takes cursor and focus from all applications for as long as this connection lives. Refused where
/// somebody, perhaps a successor of ours, was faster.
pub(crate) fn hold_masters(display: &Display) -> Result<(), BlankerError> {
    let devices = list(display)?;
    let grabs = devices.iter().filter(|device| is_master(device));
    let cookies = grabs.map(|device| grab(display, device, x11rb::NONE)).collect::<Result<Vec<_>, _>>()?;
    for cookie in cookies {
        if_there(cookie.reply())?;
    }
    Ok(())
}

fn list(display: &Display) -> Result<Vec<XIDeviceInfo>, BlankerError> {
    let mut devices = display.x.xinput_xi_query_device(0_u16)?.reply()?.infos;
    devices.truncate(DEVICES_MAX);
    Ok(devices)
}

/// The XTEST devices cannot be floated; they have no hardware behind them.
fn is_physical(device: &XIDeviceInfo) -> bool {
    let slave = [DeviceType::SLAVE_POINTER, DeviceType::SLAVE_KEYBOARD, DeviceType::FLOATING_SLAVE];
    slave.contains(&device.type_) && device.enabled && !has_xtest_name(&device.name)
}

fn has_xtest_name(name: &[u8]) -> bool {
    name.ends_with(b" XTEST pointer") || name.ends_with(b" XTEST keyboard")
}

fn is_master(device: &XIDeviceInfo) -> bool {
    [DeviceType::MASTER_POINTER, DeviceType::MASTER_KEYBOARD].contains(&device.type_)
}

/// The masters a floating device can belong to, the likelier first.
fn masters_for(device: &XIDeviceInfo, devices: &[XIDeviceInfo]) -> impl Iterator<Item = u16> {
    let moves = device.classes.iter().any(|class| matches!(class.data, DeviceClassData::Valuator(_)));
    let order = if moves {
        [DeviceType::MASTER_POINTER, DeviceType::MASTER_KEYBOARD]
    } else {
        [DeviceType::MASTER_KEYBOARD, DeviceType::MASTER_POINTER]
    };
    order.into_iter().filter_map(|kind| devices.iter().find(|d| d.type_ == kind)).map(|d| d.deviceid)
}

fn attach(display: &Display, deviceid: u16, master: u16) -> Result<bool, BlankerError> {
    let data = HierarchyChangeData::AttachSlave(HierarchyChangeDataAttachSlave { deviceid, master });
    let cookie = display.x.xinput_xi_change_hierarchy(&[HierarchyChange { len: 2, data }])?;
    Ok(if_there(cookie.check())?.is_some())
}

type GrabCookie<'a> = x11rb::cookie::Cookie<
    'a,
    x11rb::rust_connection::RustConnection,
    x11rb::protocol::xinput::XIGrabDeviceReply,
>;

fn grab<'a>(
    display: &'a Display,
    device: &XIDeviceInfo,
    cursor: Cursor,
) -> Result<GrabCookie<'a>, BlankerError> {
    let events = u32::from(XIEventMask::KEY_PRESS) | u32::from(XIEventMask::BUTTON_PRESS);
    Ok(display.x.xinput_xi_grab_device(
        // The root cannot be unmapped, which would end the grab.
        display.root,
        x11rb::CURRENT_TIME,
        cursor,
        device.deviceid,
        GrabMode::ASYNC,
        GrabMode::ASYNC,
        GrabOwner::NO_OWNER,
        &[events],
    )?)
}
