//! Clients and hosts of Debian 13, whose files lie beside this machine's. With `--long` only: they take half a minute
//! each, and Debian's mirror once.

use sudare_stack::booted::{TRIXIE_HOSTS, root};
use sudare_stack::xrdp::Report;

use super::check_with_models;
use crate::camera::emulated::target;

/// Plays it, or says loudly why not.
fn play(scenario: &str) -> Option<Report> {
    if std::env::var_os("SUDARE_LONG").is_none() {
        println!("SKIPPED: {scenario}: only `cargo xtask test --long` runs it");
        return None;
    }
    // Where sudare-stack looks for it as well.
    if let Err(error) = root(TRIXIE_HOSTS, &target().join("booted")) {
        println!("SKIPPED: {scenario}: {error:#}");
        return None;
    }
    check_with_models(scenario)
}

/// A log-on, an onlooker and an absence, with the desktop before, between and behind them.
fn does_the_main_job(scenario: &str) {
    let Some(report) = play(scenario) else { return };
    assert!(report.pictures.len() >= 6, "{:?}", report.pictures);
}

#[test]
fn freerdp_3_is_a_client_like_freerdp_2() {
    does_the_main_job("debian-13-client");
}

#[test]
fn remmina_is_a_client_like_freerdp() {
    does_the_main_job("debian-13-remmina");
}

#[test]
fn xrdp_0_10_draws_bitmaps() {
    does_the_main_job("debian-13-xrdp");
}

#[test]
fn xrdp_0_10_draws_by_the_graphics_pipeline() {
    does_the_main_job("debian-13-graphics");
}

#[test]
fn the_shadow_server_of_freerdp_3_draws_progressively() {
    does_the_main_job("debian-13-shadow-progressive");
}

#[test]
fn the_shadow_server_of_freerdp_3_draws_video_in_full_colour() {
    does_the_main_job("debian-13-shadow-avc444");
}

#[test]
fn weston_is_a_host() {
    does_the_main_job("debian-13-weston");
}

#[test]
fn gnome_remote_desktop_is_a_host() {
    does_the_main_job("debian-13-gnome");
}
