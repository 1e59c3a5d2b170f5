"""Other light and other surroundings for the same scene, drawn from a seed."""

from typing import Any

import numpy as np

# Materials of the surroundings; arm and objects keep theirs, for instructions name colours.
SURROUNDINGS = ("floorplane", "walls_mat", "table_ceramic", "table_mat", "light-wood", "dark-wood")
PATCHES = 8  # the new texture's colours lie on a grid of so many squares a side


class Looks:
    """Changes a model's light and textures, and puts them back.

    Args:
        model: MuJoCo's model.
        renderer: MuJoCo's renderer, which holds a copy of every texture.
    """

    def __init__(self, model: Any, renderer: Any) -> None:
        self._model, self._renderer = model, renderer
        headlight = model.vis.headlight
        self._lights = [model.light_pos, model.light_dir, model.light_diffuse, model.light_specular]
        self._lights += [headlight.ambient, headlight.diffuse]
        self._light_home = [values.copy() for values in self._lights]
        names = {model.mat(i).name: i for i in range(model.nmat)}
        self._materials = [names[name] for name in SURROUNDINGS if name in names]
        self._rgba_home = model.mat_rgba.copy()
        used = {int(t) for m in self._materials for t in model.mat_texid[m] if t >= 0}
        self._textures = {t: self._texture(t).copy() for t in sorted(used)}

    def light(self, rng: np.random.Generator, amount: float) -> None:
        """Move, turn, dim and tint the lights.

        Args:
            rng: where the numbers come from.
            amount: 1 moves a light by up to 50 cm, turns it by some 15 degrees, and makes it
                between half and one and a half times as bright, with a cast of up to 15 %.
        """
        for values, home in zip(self._lights, self._light_home, strict=True):
            values[:] = home
        pos, direction, *colours = self._lights
        pos += amount * rng.uniform(-0.5, 0.5, pos.shape)
        direction += amount * rng.uniform(-0.25, 0.25, direction.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        brightness = 1 + amount * rng.uniform(-0.5, 0.5)
        cast = 1 + amount * rng.uniform(-0.15, 0.15, 3)
        for colour in colours:
            colour[:] = np.clip(colour * brightness * cast, 0, 1)

    def texture(self, rng: np.random.Generator, amount: float) -> None:
        """Give table, bins, floor and walls other colours and patterns.

        Args:
            rng: where the numbers come from.
            amount: 1 replaces half of a texture by smooth random colours, and tints it.
        """
        import cv2
        import mujoco

        for material in self._materials:
            tint = 1 - 0.5 * amount * rng.uniform(0, 1, 3)
            self._model.mat_rgba[material, :3] = self._rgba_home[material, :3] * tint
        context = self._renderer._gl_context
        if context:
            context.make_current()
        for index, home in self._textures.items():
            height, width, channels = home.shape
            colours = rng.integers(0, 256, (PATCHES, PATCHES, channels), dtype=np.uint8)
            pattern = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)
            share = 0.5 * amount
            mixed = (1 - share) * home + share * pattern.reshape(home.shape)
            self._texture(index)[:] = np.clip(mixed, 0, 255).astype(np.uint8)
            mujoco.mjr_uploadTexture(self._model, self._renderer._mjr_context, index)

    def _texture(self, index: int) -> np.ndarray:
        """A view of a texture's pixels, uint8 (H, W, channels)."""
        model = self._model
        shape = [int(v[index]) for v in (model.tex_height, model.tex_width, model.tex_nchannel)]
        begin = int(model.tex_adr[index])
        pixels: np.ndarray = model.tex_data[begin : begin + int(np.prod(shape))]
        return pixels.reshape(shape)
