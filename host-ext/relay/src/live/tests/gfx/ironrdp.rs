//! IronRDP's client takes what the gate makes of surfaces, and shows black.

use ironrdp_dvc::DvcProcessor as _;
use ironrdp_egfx::client::{GraphicsPipelineClient, GraphicsPipelineHandler};

use super::*;

#[derive(Debug)]
struct Quiet;

impl GraphicsPipelineHandler for Quiet {}

/// The client, and the output as it has drawn it.
struct Screen {
    client: GraphicsPipelineClient,
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Screen {
    fn take(&mut self, live: &mut Live) {
        let mut pieces = dvc::Pieces::default();
        for pdu in client_pdus(live) {
            let message = match dvc::read(&pdu).unwrap() {
                dvc::Pdu::Data { id: ID, data } => pieces.add(None, data, 1 << 25).unwrap(),
                dvc::Pdu::DataFirst { id: ID, total, data } => {
                    pieces.add(Some(total), data, 1 << 25).unwrap()
                }
                _ => None,
            };
            let Some(message) = message else { continue };
            for answer in self.client.process(ID, &message).unwrap() {
                let bytes = ironrdp_core::encode_vec(&*answer).unwrap();
                dvc::write_data(ID, &bytes).unwrap().iter().for_each(|pdu| say(live, Side::Client, pdu));
            }
            for update in self.client.drain_output() {
                let region = update.region;
                let columns = usize::from(region.right - region.left);
                for (at, pixel) in update.data.chunks(4).enumerate() {
                    let (x, y) =
                        (usize::from(region.left) + at % columns, usize::from(region.top) + at / columns);
                    self.pixels[y * self.width + x] = pixel[..3].try_into().unwrap();
                }
            }
        }
        assert_eq!(self.client.dropped_updates(), 0);
    }

    fn is(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }
}

#[test]
fn another_implementation_shows_black_words_and_the_desktop_again() {
    let mut run = Run::visible();
    let client = GraphicsPipelineClient::new(Box::new(Quiet), None);
    let mut screen = Screen { client, width: 64, pixels: vec![[9; 3]; 64 * 48] };
    run.host(&confirm_caps());
    run.host(&[reset(64, 48), create(1, 64, 48, XRGB), map(1, 0, 0)].concat());
    run.host(&[start(1), fill(1, 7), pixel(1, 40, 5, 6), end(1)].concat());
    screen.take(&mut run.live);
    let desktop = screen.pixels.clone();
    assert_eq!((screen.is(0, 0), screen.is(5, 6)), ([3, 2, 7], [9, 9, 40]));
    run.events();
    run.heard();
    for round in 2..5 {
        run.live.cover(0).unwrap();
        screen.take(&mut run.live);
        assert!(screen.pixels.iter().all(|pixel| *pixel == [0; 3]));
        assert_eq!(run.confirmed(), 1);
        // Words in several colours: planar.
        let pixels: Vec<u16> = (0..20 * 10).map(|at| if at % 7 < 3 { 0xFFFF } else { at }).collect();
        let words = Tile::new(30, 20, Size { width: 20, height: 10 }, &pixels).unwrap();
        assert!(run.live.paint(&[words]));
        screen.take(&mut run.live);
        let wide = |pixel: u16| {
            let scale =
                |value: u16, bits: u16| u8::try_from(value << (8 - bits) | value >> (2 * bits - 8)).unwrap();
            [scale(pixel >> 11, 5), scale((pixel >> 5) & 63, 6), scale(pixel & 31, 5)]
        };
        for (at, pixel) in pixels.iter().enumerate() {
            assert_eq!(screen.is(30 + at % 20, 20 + at / 20), wide(*pixel));
        }
        run.host(&[start(round), end(round)].concat());
        run.live.uncover(0).unwrap();
        screen.take(&mut run.live);
        assert!(screen.pixels == desktop);
        assert_eq!(run.totals(), [(round, round)]);
    }
}
