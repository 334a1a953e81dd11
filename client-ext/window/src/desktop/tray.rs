//! An entry in the desktop's tray (StatusNotifierItem), where the desktop has one.

use ksni::blocking::TrayMethods as _;
use ksni::menu::StandardItem;
use ksni::{MenuItem, Tray};

use crate::model::Event;
use crate::post::Post;
use crate::words::Language;

pub(super) type Handle = ksni::blocking::Handle<Entry>;

pub(super) struct Entry {
    post: Post,
    language: Language,
}

pub(super) fn show(post: Post, language: Language) -> Option<Handle> {
    let shown = Entry { post, language }.spawn();
    shown.inspect_err(|error| tracing::info!("this desktop has no tray: {error}")).ok()
}

impl Tray for Entry {
    fn id(&self) -> String {
        "sudare".to_owned()
    }

    fn title(&self) -> String {
        "Sudare".to_owned()
    }

    fn icon_name(&self) -> String {
        "security-high".to_owned()
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let item = |words, event: fn() -> Event| {
            let activate: Box<dyn Fn(&mut Self) + Send> = Box::new(move |entry| {
                entry.post.send(event());
            });
            MenuItem::Standard(StandardItem {
                label: self.language.of(words).to_owned(),
                activate,
                ..StandardItem::default()
            })
        };
        vec![
            item(["今すぐ隠す", "Cover now"], || Event::CoverNow),
            item(["隠すのを終える", "End the cover"], || Event::EndCover),
        ]
    }
}
