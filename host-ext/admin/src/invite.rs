//! `sudare-host invite`: a pairing code for one device of one user.
//!
//! ```text
//! /etc/sudare/enroller/  0700, root
//!   enroller.key         made by `sudare-authority new-enroller`; signs invitations
//!   enroller.record      signed by the organisation: for whom, how many, until when
//!   next                 the number of the next invitation
//! ```
//! The code holds the invitation's one-time key, and is shown once. This host keeps the invitation without that key, so
//! that nobody who reads its disk can use one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use sudare_base::program::Settings;
use sudare_base::{accounts, clock, files, output};
use sudare_gate::identity::Identity;
use sudare_protocol::SigningKey;
use sudare_protocol::enrol::{
    EnrollerRecord, FINGERPRINT_BYTES, Invitation, Invited, PairingCode, fingerprint, invitation_key,
};
use sudare_protocol::limits::RECORD_MAX_BYTES;
use sudare_protocol::records::{HostRecord, Signed};
use sudare_protocol::utc::utc;
use sudare_records::{keys, state};
use zeroize::Zeroizing;

const HOUR_MS: u64 = 60 * 60 * 1000;
/// Digits of the counter, and an end of line.
const NUMBER_MAX_BYTES: usize = 16;
/// Pixels of one module of the picture, and the quiet zone around it in modules (ISO/IEC 18004).
const MODULE_PIXELS: usize = 8;
const QUIET_MODULES: usize = 4;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare-host invite alice                                  a code for one PC of alice, good for three days
  sudare-host invite alice --address vdi-7.example          as employees reach this host
  sudare-host invite bob --approve --png bob.png            bob's PC has to be approved; the code also as a picture")]
pub(crate) struct Invite {
    /// The user of this host who may use the device
    user: String,
    /// How employees reach this host, with :PORT unless it is 3389; by default its name
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// For how many hours the code can be used
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=24 * 90))]
    hours: u64,
    /// For how many days the device is let in
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3660))]
    days: u64,
    /// The device waits for `sudare-host approve`
    #[arg(long)]
    approve: bool,
    /// Write the code as a picture, too
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Folder of the enroller's key and record
    #[arg(long, value_name = "DIR", default_value = "/etc/sudare/enroller")]
    enroller: PathBuf,
}

impl Invite {
    pub(crate) fn run(&self, settings: &Settings) -> anyhow::Result<()> {
        let config = settings.load(&[])?;
        let dir = &config.state_dir;
        let organisation =
            keys::read_public(&dir.join("organisation.pub"), "Run `sudare-setup records DIR` first")?;
        let now_ms = clock::wall_ms();
        let host: Signed<HostRecord> =
            state::record(&dir.join("host.record"), &organisation, now_ms, state::SIGN_HOST)?;
        let host_id = host.record().host_id.clone();
        let certificate = Identity::load(&config.tls_certificate, &config.tls_key)?.cert_sha256;
        let enroller = Enroller::open(&self.enroller, &organisation, now_ms)?;
        self.may_invite(enroller.record.record())?;
        let address = match &self.address {
            Some(address) => address.to_lowercase(),
            None => rustix::system::uname().nodename().to_string_lossy().to_lowercase(),
        };
        let secret = Zeroizing::new(clock::random()?);
        let not_after_ms = now_ms.saturating_add(self.hours.saturating_mul(HOUR_MS));
        let invitation = Invitation {
            key: invitation_key(&secret).verifying_key().to_bytes(),
            user: self.user.clone(),
            host_id,
            number: enroller.number()?,
            // An hour ago: this host's clock may be put right meanwhile.
            not_before_ms: now_ms.saturating_sub(HOUR_MS),
            not_after_ms,
            device_until_ms: now_ms.saturating_add(self.days.saturating_mul(24 * HOUR_MS)),
            needs_approval: self.approve,
        };
        let signed = Signed::sign(&enroller.key, &invitation)?;
        let invited = Invited::of(&organisation, enroller.record.bytes(), &signed)?;
        let mut first = [0; FINGERPRINT_BYTES];
        first.copy_from_slice(&certificate[..FINGERPRINT_BYTES]);
        let organisation = fingerprint(&organisation);
        let code = PairingCode { address, not_after_ms, organisation, certificate: first, secret };
        let text = code.to_text();
        let picture = QrCode::new(text.as_bytes()).context("the code is too long for a QR code")?;
        if let Some(path) = &self.png {
            files::write_private(path, &png(&picture)?)?;
        }
        files::become_owner(dir)?;
        state::registry(dir)?.invite(&invited)?;
        output::line(&text);
        if output::is_terminal() {
            picture.render::<Dense1x2>().build().lines().for_each(output::line);
        }
        output::line(&format!(
            "For one PC of {}, until {}. The employee runs: sudare pair CODE",
            self.user,
            utc(code.not_after_ms)
        ));
        Ok(())
    }

    /// Whether the enroller may, and whether there is such a user.
    fn may_invite(&self, enroller: &EnrollerRecord) -> anyhow::Result<()> {
        let is_in_group = |group: &str| accounts::group_member(&self.user, group) == Ok(Some(true));
        anyhow::ensure!(
            enroller.allows(&self.user, &is_in_group),
            "enroller {:?} may not invite {:?}. Ask the security team for a record that names that user, or a group of theirs",
            enroller.name,
            self.user
        );
        if accounts::uid_of(&self.user).is_none() {
            output::note(&format!(
                "warning: this host has no user {:?}. Look at the spelling, unless the hosts behind this gate know that user",
                self.user
            ));
        }
        Ok(())
    }
}

/// The enroller's folder.
struct Enroller {
    key: SigningKey,
    record: Signed<EnrollerRecord>,
    counter: PathBuf,
}

impl Enroller {
    fn open(dir: &Path, organisation: &sudare_protocol::VerifyingKey, now_ms: u64) -> anyhow::Result<Self> {
        const MAKE: &str = "Run `sudare-authority new-enroller` and put its key there, as root's";
        const SIGN: &str =
            "Have the security team sign it with `sudare-authority sign-enroller`, and put it there";
        let key = keys::read_secret(&dir.join("enroller.key"), MAKE)?;
        let record: Signed<EnrollerRecord> =
            state::record(&dir.join("enroller.record"), organisation, now_ms, SIGN)?;
        anyhow::ensure!(
            record.record().key == key.verifying_key().to_bytes(),
            "the enroller record in {} is for another key. Have the security team sign one for the line of enroller.pub",
            dir.display()
        );
        Ok(Enroller { key, record, counter: dir.join("next") })
    }

    /// The next number, which is used up even if nothing comes of it.
    fn number(&self) -> anyhow::Result<u32> {
        let bytes = files::read_bounded(&self.counter, NUMBER_MAX_BYTES)?;
        let number = match &bytes {
            None => 1,
            Some(bytes) => {
                std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()).with_context(
                    || format!("{} holds no number. Write the next one there", self.counter.display()),
                )?
            }
        };
        let most = self.record.record().devices_max;
        anyhow::ensure!(
            number <= most,
            "this enroller has invited {most} devices, which is all it may. Ask the security team for a record with more"
        );
        files::write_private(&self.counter, format!("{}\n", number + 1).as_bytes())?;
        Ok(number)
    }
}

/// Black on white, with the quiet zone.
fn png(code: &QrCode) -> anyhow::Result<Vec<u8>> {
    let modules = code.width() + 2 * QUIET_MODULES;
    let side = modules * MODULE_PIXELS;
    let dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET_MODULES).filter(|at| *at < code.width());
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if code[(x, y)] == qrcode::Color::Dark)
    };
    let pixels: Vec<u8> = (0..side * side)
        .map(|at| if dark(at % side / MODULE_PIXELS, at / side / MODULE_PIXELS) { 0 } else { 255 })
        .collect();
    let side = u32::try_from(side)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(bytes)
}

/// Keeps what the organisation takes back.
pub(crate) fn revoke(settings: &Settings, file: &Path) -> anyhow::Result<()> {
    let dir = settings.load(&[])?.state_dir;
    let bytes = files::read_bounded(file, RECORD_MAX_BYTES)?.with_context(|| {
        format!("{} is missing. Give the record that the security team signed", file.display())
    })?;
    let organisation =
        keys::read_public(&dir.join("organisation.pub"), "Run `sudare-setup records DIR` first")?;
    let revocation = Signed::verify_any_time(&organisation, &bytes)?;
    files::become_owner(&dir)?;
    let key = state::registry(&dir)?.take_back(&revocation)?;
    output::line(&format!(
        "Key {} counts no more. Its devices are covered within seconds.",
        sudare_protocol::hex::hex(&key)
    ));
    Ok(())
}
