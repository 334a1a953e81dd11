//! `sudare-window`: the employee's window. `sudare` without a command starts it.
//!
//! ```text
//!  seats (sockets of plugins) ─┐
//!  camera (own preview, enrol) ┼─ post ─► shell ─ Event ─► model ─ Action ─► edges ─► seats, camera, files
//!  hotkey, tray, files ────────┘            └──────────── view (egui) ◄─┘
//! ```
//! `model` decides and is pure; `view` draws it; the rest is edges. Drawn by the CPU, so that it needs no graphics driver,
//! and only when something happens. Deliberately absent: any say in what the host shows but "cover now".
//!
//! | module | what |
//! |---|---|
//! | `model`, `headline` | what the window shows and what follows from what happens; a connection in one word |
//! | `words`, `said` | both languages; sentences about what went wrong |
//! | `view`, `fonts`, `shown` | the pages; where letters come from; a picture that is ready to be drawn |
//! | `shell`, `post`, `output` | the window of the operating system, how threads wake it, and what a terminal is told |
//! | `edges`, `seats`, `camera`, `files`, `prefs` | sockets of running plugins; our own use of the camera; receipts, settings, `sudare doctor`; what this person likes |
//! | `desktop` | the global key and the tray, where the desktop has them |

mod camera;
mod desktop;
mod edges;
mod files;
mod fonts;
mod headline;
mod model;
mod output;
mod post;
mod prefs;
mod said;
mod seats;
mod shell;
mod shown;
mod view;
mod words;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use sudare_client_runtime::operator;
use sudare_client_runtime::plugin::settings::Settings;
use tracing_subscriber::EnvFilter;
use winit::event_loop::EventLoop;

use crate::edges::Edges;
use crate::model::{Event, Model, Page};
use crate::post::Post;
use crate::prefs::Prefs;
use crate::said::Said;
use crate::shell::Shell;
use crate::view::View;
use crate::words::Language;

/// The window of Sudare: what the seat shows, enrolment, what was recorded, and "cover now"
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Example:
  sudare               opens this window

Keys: Ctrl+1 to Ctrl+5 for the pages, F9 covers, Ctrl+Alt+H covers from anywhere (X11), Ctrl+plus and Ctrl+minus zoom.
Settings: SUDARE_HOME (this device's files), SUDARE_CACHE (models), SUDARE_LOG (such as info or debug)."
)]
struct Arguments {
    /// The language to begin with; by default the last one, or that of the locale
    #[arg(long, value_name = "ja|en", value_parser = language)]
    language: Option<Language>,
    /// The page to begin with
    #[arg(long, value_name = "seat|enrol|receipts|check|settings", value_parser = page)]
    page: Option<Page>,
}

fn language(text: &str) -> Result<Language, String> {
    Language::from_tag(text).ok_or_else(|| "use ja or en".to_owned())
}

fn page(text: &str) -> Result<Page, String> {
    let found = Page::ALL.into_iter().find(|page| page.as_str() == text);
    found.ok_or_else(|| "use seat, enrol, receipts, check or settings".to_owned())
}

fn main() -> ExitCode {
    let arguments: Arguments = output::parse();
    let filter = EnvFilter::try_from_env("SUDARE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,ort=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(std::io::stderr).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home = operator::device_dir()?;
    let events = EventLoop::<Event>::with_user_event().build().context(
        "the window needs a display, and there is none. Start it on your desktop; on Wayland, Xwayland must be there. The commands of `sudare --help` need none",
    )?;
    let post = Post::new(events.create_proxy());
    let (fonts, has_japanese) = fonts::find();
    let prefs = Prefs::load(&home);
    let locale = || Language::of_locale(|name| std::env::var(name).ok());
    let language = arguments.language.or(prefs.language).unwrap_or_else(locale);
    let settings = Settings::load(&[]);
    let camera = settings.as_ref().map_or_else(|_| "camera:0".to_owned(), |s| s.camera.to_string());
    let mut model = Model::new(if has_japanese { language } else { Language::English }, camera);
    if let Err(error) = settings {
        post.send(Event::Failed(Said::english(error.to_string())));
    }
    let egui = egui::Context::default();
    egui.set_fonts(fonts);
    view::style(&egui);
    prefs.apply(&egui);
    let mut edges = Edges::start(home.clone(), post.clone()).context("the window cannot start")?;
    if let Some(page) = arguments.page {
        let actions = model.take(Event::Open(page));
        actions.into_iter().for_each(|action| edges.act(action, &model.camera));
    }
    // As long as the window lives.
    let _desktop = desktop::offer(&post, model.language);
    let view = View::new(has_japanese);
    let mut shell = Shell { model, view, edges, post, egui, open: None, error: None };
    let ended = events.run_app(&mut shell);
    Prefs::of(&shell.egui, shell.model.language).save(&home);
    ended.context("the window ended")?;
    shell.error.map_or(Ok(()), Err)
}
