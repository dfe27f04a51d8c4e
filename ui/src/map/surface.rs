//! The canvases in the page, and the hand on them.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{HtmlCanvasElement, HtmlElement, ResizeObserver};

use crate::app::theme::use_theme;
use crate::map::canvas::Canvas;
use crate::map::gesture::{Press, wheel_factor};
use crate::map::page::Picture;
use crate::map::scene::Hit;
use crate::map::stage::Stage;

/// CSS pixels an arrow key moves the picture.
const KEY_STEP: f64 = 80.0;
/// Factor of one step of zooming by key or button.
pub(crate) const ZOOM_STEP: f64 = 1.25;

/// The stage of the page; empty until the canvases are there.
pub(crate) type StageHandle = StoredValue<Option<Stage>, LocalStorage>;

/// Does something with the stage, where it is there, and sees to it that the picture becomes sharp again.
pub(crate) fn with_stage<R>(handle: StageHandle, act: impl FnOnce(&mut Stage) -> R) -> Option<R> {
    handle.try_update_value(|stage| {
        let stage = stage.as_mut()?;
        let result = act(stage);
        stage.arm(move || {
            handle.try_update_value(|stage| stage.as_mut().map(Stage::rest));
        });
        Some(result)
    })?
}

/// The canvases. `selected` is shown, `on_select` is told of clicks.
#[component]
pub(crate) fn Surface(
    picture: Signal<Picture>,
    #[prop(into)] selected: Signal<Option<Hit>>,
    handle: StageHandle,
    on_select: impl Fn(Option<Hit>) + Copy + 'static,
) -> impl IntoView {
    let base = NodeRef::<html::Canvas>::new();
    let over = NodeRef::<html::Canvas>::new();
    let press = StoredValue::new_local(Press::default());
    let ready = RwSignal::new(false);
    mount(base, over, handle, ready);
    let theme = use_theme();
    Effect::new(move |_| {
        theme.is_dark();
        with_stage(handle, Stage::set_palette);
    });
    Effect::new(move |_| {
        ready.track();
        let picture = picture.get();
        with_stage(handle, |stage| stage.set_scene(picture.scene, &picture.question, picture.is_new));
    });
    Effect::new(move |_| {
        ready.track();
        let selected = selected.get();
        with_stage(handle, |stage| stage.select(selected));
    });
    let on_move = move |event: ev::PointerEvent| moved(&event, handle, press);
    let on_up = move |event: ev::PointerEvent| {
        if press.try_update_value(Press::up) == Some(true) {
            on_select(with_stage(handle, |stage| stage.hit(point(&event))).flatten());
        }
    };
    let on_wheel = move |event: ev::WheelEvent| {
        event.prevent_default();
        let at = (f64::from(event.offset_x()), f64::from(event.offset_y()));
        with_stage(handle, |stage| stage.zoom(Some(at), wheel_factor(event.delta_y())));
    };
    let label = move || picture.with(|picture| picture.words());
    view! {
        <div class="surface">
            <canvas node_ref=base class="surface-base" aria-hidden="true"></canvas>
            <canvas
                node_ref=over
                class="surface-over"
                tabindex="0"
                role="img"
                aria-label=label
                on:pointerdown=move |event| pressed(&event, press)
                on:pointermove=on_move
                on:pointerup=on_up
                on:pointerleave=move |_| _ = with_stage(handle, |stage| stage.hover(None))
                on:wheel=on_wheel
                on:keydown=move |event| key(&event, handle)
            ></canvas>
        </div>
    }
}

/// Makes the stage once the canvases are there, and keeps it as large as they are.
fn mount(base: NodeRef<html::Canvas>, over: NodeRef<html::Canvas>, handle: StageHandle, ready: RwSignal<bool>) {
    let observer = StoredValue::new_local(None::<SizeObserver>);
    Effect::new(move |_| {
        let (Some(base), Some(over)) = (base.get(), over.get()) else { return };
        let watched = over.clone();
        let (Some(base), Some(over)) = (Canvas::new(base), Canvas::new(over)) else { return };
        handle.set_value(Some(Stage::new(base, over)));
        let size =
            move |element: &HtmlCanvasElement| (f64::from(element.client_width()), f64::from(element.client_height()));
        with_stage(handle, |stage| stage.set_size(size(&watched)));
        let element = watched.clone();
        observer.set_value(SizeObserver::new(&watched, move || {
            with_stage(handle, |stage| stage.set_size(size(&element)));
        }));
        ready.set(true);
    });
}

/// Tells when an element changes its size; stops when dropped.
struct SizeObserver {
    observer: ResizeObserver,
    _on_change: Closure<dyn FnMut()>,
}

impl SizeObserver {
    fn new(element: &HtmlElement, on_change: impl FnMut() + 'static) -> Option<Self> {
        let on_change: Closure<dyn FnMut()> = Closure::new(on_change);
        let observer = ResizeObserver::new(on_change.as_ref().unchecked_ref()).ok()?;
        observer.observe(element);
        Some(Self { observer, _on_change: on_change })
    }
}

impl Drop for SizeObserver {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}

fn pressed(event: &ev::PointerEvent, press: StoredValue<Press, LocalStorage>) {
    if event.button() != 0 {
        return;
    }
    if let Some(target) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) {
        // Without capture a drag only ends at the border; nothing else depends on it.
        drop(target.set_pointer_capture(event.pointer_id()));
    }
    press.update_value(|press| press.down(point(event)));
}

fn moved(event: &ev::PointerEvent, handle: StageHandle, press: StoredValue<Press, LocalStorage>) {
    let at = point(event);
    let dragged = press.try_update_value(|press| press.moved(at)).flatten();
    let over_something = with_stage(handle, |stage| match dragged {
        Some(by) => {
            stage.pan(by);
            false
        }
        None => stage.hover(Some(at)),
    });
    let cursor = match (press.with_value(Press::is_dragging), over_something) {
        (true, _) => "grabbing",
        (false, Some(true)) => "pointer",
        _ => "grab",
    };
    if let Some(target) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) {
        // Fails only for a style that is read-only.
        drop(target.style().set_property("cursor", cursor));
    }
}

fn key(event: &ev::KeyboardEvent, handle: StageHandle) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() {
        return;
    }
    let act: fn(&mut Stage) = match event.key().as_str() {
        "ArrowLeft" => |stage| stage.pan((KEY_STEP, 0.0)),
        "ArrowRight" => |stage| stage.pan((-KEY_STEP, 0.0)),
        "ArrowUp" => |stage| stage.pan((0.0, KEY_STEP)),
        "ArrowDown" => |stage| stage.pan((0.0, -KEY_STEP)),
        "+" | "=" => |stage| stage.zoom(None, ZOOM_STEP),
        "-" => |stage| stage.zoom(None, 1.0 / ZOOM_STEP),
        "0" => Stage::fit,
        _ => return,
    };
    event.prevent_default();
    with_stage(handle, act);
}

fn point(event: &ev::PointerEvent) -> (f64, f64) {
    (f64::from(event.offset_x()), f64::from(event.offset_y()))
}
