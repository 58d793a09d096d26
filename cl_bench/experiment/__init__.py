"""One run: tasks arrive one after another; each is learned, merged and evaluated."""
