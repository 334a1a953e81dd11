//! The window itself: winit's events in, egui's shapes drawn by the CPU. Nothing is drawn while nothing happens.

use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use egui_software_backend::{BufferMutRef, ColorFieldOrder, EguiSoftwareRender};
use sudare_client_runtime::clock;
use winit::application::ApplicationHandler;
use winit::dpi::LogicalSize;
use winit::event::{StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, OwnedDisplayHandle};
use winit::window::{Window, WindowId};

use crate::edges::Edges;
use crate::model::{Event, Model};
use crate::post::Post;
use crate::view::View;

const SIZE: LogicalSize<f64> = LogicalSize::new(780.0, 640.0);
const SIZE_MIN: LogicalSize<f64> = LogicalSize::new(360.0, 300.0);
/// egui asks for a later frame in place of none at all.
const NEVER: Duration = Duration::from_secs(3_600);

/// Everything that lives as long as the window.
pub(crate) struct Shell {
    pub(crate) model: Model,
    pub(crate) view: View,
    pub(crate) edges: Edges,
    pub(crate) post: Post,
    pub(crate) egui: egui::Context,
    pub(crate) open: Option<Open>,
    /// Why it ended, if not by the person.
    pub(crate) error: Option<anyhow::Error>,
}

/// A window on a screen.
pub(crate) struct Open {
    window: Rc<Window>,
    surface: softbuffer::Surface<OwnedDisplayHandle, Rc<Window>>,
    input: egui_winit::State,
    render: EguiSoftwareRender,
}

impl ApplicationHandler<Event> for Shell {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.open.is_none() {
            match self.open(events) {
                Ok(open) => self.open = Some(open),
                Err(error) => self.end(events, error),
            }
        }
    }

    fn new_events(&mut self, _: &ActiveEventLoop, cause: StartCause) {
        if let (StartCause::ResumeTimeReached { .. }, Some(open)) = (cause, &self.open) {
            open.window.request_redraw();
        }
    }

    fn user_event(&mut self, _: &ActiveEventLoop, event: Event) {
        self.post.taken(&event);
        self.happened(event);
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => events.exit(),
            WindowEvent::RedrawRequested => {
                if let Err(error) = self.draw(events) {
                    self.end(events, error);
                }
            }
            event => {
                if let Some(open) = &mut self.open
                    && open.input.on_window_event(&open.window, &event).repaint
                {
                    open.window.request_redraw();
                }
            }
        }
    }
}

impl Shell {
    fn open(&self, events: &ActiveEventLoop) -> anyhow::Result<Open> {
        let attributes = Window::default_attributes()
            .with_title("Sudare")
            .with_inner_size(SIZE)
            .with_min_inner_size(SIZE_MIN);
        let window = Rc::new(events.create_window(attributes).context("the window cannot be opened")?);
        let display = softbuffer::Context::new(events.owned_display_handle());
        let display = display.map_err(|error| anyhow!("the display cannot be drawn on: {error}"))?;
        let surface = softbuffer::Surface::new(&display, Rc::clone(&window));
        let surface = surface.map_err(|error| anyhow!("the window cannot be drawn on: {error}"))?;
        #[allow(clippy::cast_possible_truncation, reason = "a scale is a small number")]
        let scale = window.scale_factor() as f32;
        let theme = window.theme();
        let viewport = egui::ViewportId::ROOT;
        let input = egui_winit::State::new(self.egui.clone(), viewport, &window, Some(scale), theme, None);
        let render = EguiSoftwareRender::new(ColorFieldOrder::Bgra).with_caching(false);
        window.request_redraw();
        Ok(Open { window, surface, input, render })
    }

    fn end(&mut self, events: &ActiveEventLoop, error: anyhow::Error) {
        self.error = Some(error);
        events.exit();
    }

    /// Decides, acts, and has it drawn.
    fn happened(&mut self, event: Event) {
        for action in self.model.take(event) {
            self.edges.act(action, &self.model.camera);
        }
        if let Some(open) = &self.open {
            open.window.request_redraw();
        }
    }

    fn draw(&mut self, events: &ActiveEventLoop) -> anyhow::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let size = open.window.inner_size();
        let Some((width, height)) = NonZeroU32::new(size.width).zip(NonZeroU32::new(size.height)) else {
            return Ok(());
        };
        let input = open.input.take_egui_input(&open.window);
        let mut asked = Vec::new();
        let (view, model) = (&mut self.view, &self.model);
        let output = self.egui.run_ui(input, |ui| view.draw(ui, model, &mut asked));
        open.input.handle_platform_output(&open.window, output.platform_output);
        let jobs = self.egui.tessellate(output.shapes, output.pixels_per_point);
        open.surface
            .resize(width, height)
            .map_err(|error| anyhow!("the window cannot be resized: {error}"))?;
        let buffer = open.surface.buffer_mut();
        let mut buffer = buffer.map_err(|error| anyhow!("the window cannot be drawn on: {error}"))?;
        buffer.fill(0);
        let (columns, rows) = (usize::try_from(size.width)?, usize::try_from(size.height)?);
        let pixels = &mut BufferMutRef::new(bytemuck::cast_slice_mut(&mut buffer), columns, rows);
        open.render.render(pixels, &jobs, &output.textures_delta, output.pixels_per_point);
        buffer.present().map_err(|error| anyhow!("the window cannot be shown: {error}"))?;
        let delay =
            output.viewport_output.get(&egui::ViewportId::ROOT).map_or(NEVER, |view| view.repaint_delay);
        events.set_control_flow(match clock::instant().checked_add(delay) {
            _ if delay.is_zero() => {
                open.window.request_redraw();
                ControlFlow::Wait
            }
            Some(at) if delay < NEVER => ControlFlow::WaitUntil(at),
            _ => ControlFlow::Wait,
        });
        asked.into_iter().for_each(|event| self.happened(event));
        Ok(())
    }
}
