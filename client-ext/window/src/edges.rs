//! Carries out what the model decides: sockets, camera, files, other programs.

use std::path::PathBuf;
use std::thread;

use crate::camera::Camera;
use crate::files;
use crate::model::{Action, Event};
use crate::post::Post;
use crate::said::Said;
use crate::seats::Seats;

pub(crate) struct Edges {
    home: PathBuf,
    post: Post,
    seats: Seats,
    camera: Camera,
}

impl Edges {
    /// # Errors
    /// The operating system refused a thread.
    pub(crate) fn start(home: PathBuf, post: Post) -> std::io::Result<Self> {
        let seats = Seats::start(home.clone(), post.clone())?;
        let camera = Camera::new(home.clone(), post.clone());
        Ok(Edges { home, post, seats, camera })
    }

    /// Never waits: files and programs are on threads of their own. `source` is the camera in use.
    pub(crate) fn act(&mut self, action: Action, source: &str) {
        match action {
            Action::Ask(id, asked) => self.seats.ask(&id, asked),
            Action::AskAll(asked) => self.seats.ask_all(asked),
            Action::OpenCamera(of) => self.camera.open(of, source),
            Action::CloseCamera => self.camera.close(),
            Action::ReadReceipts => self.apart("receipts", |home, post| {
                let event =
                    files::listing(&home).map_or_else(|e| Event::Failed(Said::error(&e)), Event::Receipts);
                post.send(event);
            }),
            Action::ListCameras => self.apart("cameras", |_, post| {
                post.send(Event::Cameras(files::cameras()));
            }),
            Action::RunCheck => self.apart("doctor", |_, post| files::check(&post)),
            Action::SaveCamera(source) => self.apart("settings", move |home, post| {
                if let Err(error) = files::save_camera(&home, &source) {
                    post.send(Event::Failed(Said::error(&error)));
                }
            }),
        }
    }

    fn apart(&self, name: &str, work: impl FnOnce(PathBuf, Post) + Send + 'static) {
        let (home, post) = (self.home.clone(), self.post.clone());
        let started = thread::Builder::new().name(name.into()).spawn(move || work(home, post));
        if let Err(error) = started {
            self.post.send(Event::Failed(Said::english(error.to_string())));
        }
    }
}
