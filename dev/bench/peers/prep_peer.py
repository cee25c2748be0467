#!/usr/bin/env python3
"""The pass that a user would write in Python, for comparison with `prep run`: one thread, CPU seconds.

usage: prep_peer.py PICTURES {CASCADE.xml,none} OUT.zip {pillow,opencv}

With `none` every image is a face: its middle square is the crop, as with `prep run --detector none`.

Decode, perceptual hash (imagehash), gray test, cascade (OpenCV), square crop, resize to 512, PNG (level 0), zip (stored).
Prints one JSON line: images, faces, CPU seconds.
"""
import io
import json
import os
import sys
import time
import zipfile

import cv2
import imagehash
import numpy as np
from PIL import Image, ImageOps

cv2.setNumThreads(1)


def read_pillow(path):
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("P", "LA", "RGBA", "PA"):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return np.asarray(image.convert("RGB"))


def read_opencv(path):
    with open(path, "rb") as file:
        image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("not an image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def crop(image, box, use_opencv):
    x, y, w, h = box
    side = int(2.0 * max(w, h))
    height, width = image.shape[:2]
    side = min(side, width, height)
    left = min(max(x + w // 2 - side // 2, 0), width - side)
    top = min(max(y + h // 2 - int(0.75 * side), 0), height - side)
    part = image[top : top + side, left : left + side]
    if use_opencv:
        how = cv2.INTER_AREA if side > 512 else cv2.INTER_LANCZOS4
        return cv2.resize(part, (512, 512), interpolation=how)
    return np.asarray(Image.fromarray(part).resize((512, 512), Image.LANCZOS))


def main():
    folder, cascade_path, out, which = sys.argv[1:]
    use_opencv = which == "opencv"
    cascade = None if cascade_path == "none" else cv2.CascadeClassifier(cascade_path)
    names = sorted(os.listdir(folder))
    started = time.process_time()
    faces, images, hashes = 0, 0, {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            try:
                image = (read_opencv if use_opencv else read_pillow)(os.path.join(folder, name))
            except Exception:
                continue
            images += 1
            key = str(imagehash.phash(Image.fromarray(image)))
            is_copy = key in hashes
            hashes.setdefault(key, name)
            spread = int(np.abs(image.astype(np.int16) - image.mean(2, keepdims=True).astype(np.int16)).max())
            if is_copy or spread < 8:
                continue
            if cascade is None:
                height, width = image.shape[:2]
                half = min(width, height) // 2
                boxes = [(width // 2 - half // 2, height // 2 - half // 2, half, half)]
            else:
                gray = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
                boxes = cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
            for box in boxes:
                face = crop(image, [int(v) for v in box], use_opencv)
                if use_opencv:
                    png = cv2.imencode(".png", face[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
                else:
                    buffer = io.BytesIO()
                    Image.fromarray(face).save(buffer, "png", compress_level=0)
                    png = buffer.getvalue()
                archive.writestr(f"{faces // 1000:05d}/img{faces:08d}.png", png)
                faces += 1
        archive.writestr("dataset.json", json.dumps({"labels": None}))
    print(json.dumps({"which": which, "images": images, "faces": faces, "cpu_s": round(time.process_time() - started, 3)}))


if __name__ == "__main__":
    main()
